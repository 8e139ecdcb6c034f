/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"

/* What a machine has used so far; UINT64_MAX where this host does not tell. */
typedef struct MachineUsage {
        uint64_t cpu_usec;
        uint64_t memory_peak_bytes;
        uint64_t written_bytes; /* to the disk with the most writes: other disks may be layers above the same one */
        uint64_t received_bytes, sent_bytes; /* by interfaces of its own */
} MachineUsage;

/* Adds @more to @usage, for several machines of a job. Their peaks may have been at different times, so their sum is
 * only an upper bound. What is not known of @more is left out. */
void machine_usage_add(MachineUsage *usage, const MachineUsage *more);

/* Of a machine that runs, or whose control groups are still there. Best effort. */
void machine_usage_read(const Machine *machine, MachineUsage *ret);

/* Puts what the containers of @machine's job used together into @usage, which has their sums: services that have ended,
 * and how much memory they had at the same time. What the slice (container/slice.h) does not tell stays as it is.
 * Returns false if the job has none. */
bool machine_usage_together(const Machine *machine, MachineUsage *usage);

/* How long the steps of a job took, in its directory: one line for each, "NAME MICROSECONDS". A step that ran more than
 * once has several. */
#define MACHINE_FILE_STEPS "steps"

/* Adds a line; a name that is not a plain word becomes "step". 0 or -errno. */
int machine_steps_add(const MachineDirectory *directory, const char *name, uint64_t usec);

/* "get_sources 2.1s, build_script 40.2s", to be freed, each step once; *ret_total_usec (or NULL) gets the sum. NULL:
 * nothing is known. */
char *machine_steps_describe(const MachineDirectory *directory, uint64_t *ret_total_usec);

/* How long all steps called @name took together, in microseconds; 0: there was none. */
uint64_t machine_steps_usec(const MachineDirectory *directory, const char *name);
