/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "container/machine.h"

/* What a container's first process is given as sealed memory files: copies that nobody can change. */

/* The compiled filter of system calls. *ret_fd stays as it is if the machine has none. 0 or -errno. */
int sealed_filter(const Machine *machine, int *ret_fd);

/* The command of a service (wire_format_service()). *ret_fd stays as it is if the machine is none. 0 or -errno. */
int sealed_service(const Machine *machine, int *ret_fd);
