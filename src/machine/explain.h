/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "container/machine.h"

/* Fills in @ret: why @program of the image of @machine cannot be executed, @error (positive errno) being what the kernel
 * said. */
void explain_exec(const Machine *machine, const char *program, int error, Problem *ret);
