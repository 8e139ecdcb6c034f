/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"

/* What the job's log says of it, and the file MACHINE_FILE_ENDED of a machine that ended so. */
#define OUT_OF_MEMORY "the job ran out of memory (memory_max)"
#define SERVICE_OUT_OF_MEMORY "it ran out of memory (service_memory_max)"

/* Has the kernel killed a process in @groups, those of the job in @directory, because memory was short, since this
 * was last asked? The answer is noted in the directory, so the caller must report it: nobody gets it again. */
bool machine_ran_out_of_memory(const CgroupSet *groups, const MachineDirectory *directory);
