/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "container/machine.h"
#include "wire/wire.h"

/* Fills in @ret: why @program of the image of @machine cannot be executed, @error (positive errno) being what the kernel
 * said. */
void explain_exec(const Machine *machine, const char *program, int error, Problem *ret);

/* Fills in @ret: why the image's systemd did not start when something in the container needed it. A hostile agent can
 * send a notice to a machine without systemd, too. */
void explain_notice(const Machine *machine, const WireNotice *notice, Problem *ret);
