/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"

/* What a failed script ran into, beyond what it says itself. */
typedef struct MachineCauses {
        char *memory; /* a process was killed for want of memory: completes "The script was killed: " */
        char *disk;   /* these are sentences without a full stop */
        char *tasks;
} MachineCauses;

void machine_causes_done(MachineCauses *causes);
#define _cleanup_machine_causes_ _cleanup_(machine_causes_done)

/* Looks for causes that were not reported before, for a script of @machine that failed just now. Best effort: NULL
 * where nothing is known. */
void machine_causes_find(const Machine *machine, const MachineDirectory *directory, MachineCauses *ret);

/* Is so little free that a program may have failed because of it? @limited: it is the job's own disk, and a share of
 * its size counts, too. On a disk that the host uses as well, no share counts. */
bool disk_is_full(uint64_t free_units, uint64_t total_units, uint64_t unit_bytes, bool limited);
