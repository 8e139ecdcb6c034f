/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Confines this process and what it starts, as Sandbox.writable says. It must be alone in a mount namespace. Its own
 * processes only are to be seen in /proc if it is the first of a PID namespace. 0 or -errno; then the process is to
 * end. */
int confine(char *const *writable);
