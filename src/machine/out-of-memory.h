/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"

/* Has the kernel killed a process of @machine, whose @groups these are, because memory was short, since this was last
 * asked? If so, returns what the job's log says of it, which names the limit (static); NULL: no. The answer is noted in
 * @directory, the machine's, so the caller must report it: nobody gets it again. */
const char *machine_ran_out_of_memory(const Machine *machine, const CgroupSet *groups,
                                      const MachineDirectory *directory);

/* Is @why, the content of MACHINE_FILE_ENDED of a job's own machine (may be NULL), such a text? */
bool ended_out_of_memory(const char *why);
