/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "container/machine.h"

/* What of a machine that runs can be seen from the host. */

typedef struct MachineInside {
        int root_fd; /* the machine's root as the host has mounted it: the image with what was changed, and nothing that a
                      * program inside has mounted */
        int seen_fd;         /* the root that programs inside see, with all that is mounted there: for open_in_root() */
        uint32_t owner_base; /* root of the machine, among the host's users */
} MachineInside;

#define MACHINE_INSIDE_NONE                          \
        (MachineInside) {                            \
                .root_fd = -EBADF, .seen_fd = -EBADF \
        }

/* 0; -ESRCH: it does not run (any more); or another -errno. After 0, call machine_inside_done(). */
int machine_inside_open(const Machine *machine, MachineInside *ret);
void machine_inside_done(MachineInside *inside);
#define _cleanup_machine_inside_ _cleanup_(machine_inside_done)

/* The number of the container's first process among the host's processes; 0: there is none. By the time that the caller
 * uses it, another process may have it. */
int machine_first_process(const Machine *machine);

/* Is process @pid in another namespace of @kind (see namespaces(7)) than this one? False where that cannot be told. */
bool process_in_other_namespace(int pid, const char *kind);
