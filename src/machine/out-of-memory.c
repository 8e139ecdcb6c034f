/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds out whether the kernel killed a process of the job for want of memory. `run` asks this after a failed script,
 * and `supervise` at the end of the container. Each kill is told once. Only counters are read: which process it was
 * is for kernel-log.c. */

#include "machine/out-of-memory.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/string.h"

bool machine_ran_out_of_memory(const CgroupSet *groups, const MachineDirectory *directory) {
        _cleanup_free_ char *said = machine_file_read(directory, MACHINE_FILE_OOM_KILLS);
        uint64_t kills, kills_said = 0;
        char text[32];

        if (cgroup_oom_kills(groups, &kills) < 0)
                return false;
        if (said)
                (void) parse_uint64(said, &kills_said);
        if (kills <= kills_said)
                return false;
        snprintf(text, sizeof(text), "%" PRIu64, kills);
        (void) machine_file_write(directory, MACHINE_FILE_OOM_KILLS, text);
        return true;
}
