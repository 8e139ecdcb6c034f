/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds out whether the kernel killed a process of the job for want of memory, and whose limit that was. `run` asks this
 * after a failed script, and `supervise` at the end of the container. Each kill is told once. Only counters are read:
 * which process it was is for kernel-log.c. */

#include "machine/out-of-memory.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/string.h"
#include "container/slice.h"
#include "container/supervisor.h"

#define OF_JOB "the job ran out of memory (memory_max)"
#define OF_SERVICE "the service ran out of memory (service_memory_max)"
#define OF_WHOLE_JOB "the job ran out of memory (job_memory_max)"
#define OF_ALL "the job and its services ran out of memory (job_memory_max)"

/* What the groups have counted. */
typedef struct Counts {
        uint64_t kills;    /* of processes of the machine */
        uint64_t own, all; /* how often the machine reached its limit, and the whole job its own */
} Counts;

static int count(const Machine *machine, const CgroupSet *groups, Counts *ret) {
        _cleanup_cgroup_set_ CgroupSet slice = { 0 };
        uint64_t below;

        *ret = (Counts){ 0 };
        int r = cgroup_oom_kills(groups, &ret->kills);
        if (r < 0)
                return r;
        (void) cgroup_memory_exceeded(groups, &ret->own, &below);
        if (supervisor_pick()->slice(machine->name, &slice) >= 0)
                (void) cgroup_memory_exceeded(&slice, &below, &ret->all);
        return 0;
}

/* Without counters that tell, it is the limit that is always there. */
static const char *describe(const Machine *machine, const Counts *said, const Counts *now) {
        if (now->all > said->all && now->own <= said->own)
                return OF_ALL;
        if (machine->names)
                return OF_SERVICE;
        return machine_limits(machine).memory_max_bytes < machine->settings.memory_max.bytes ? OF_WHOLE_JOB : OF_JOB;
}

const char *machine_ran_out_of_memory(const Machine *machine, const CgroupSet *groups,
                                      const MachineDirectory *directory) {
        _cleanup_free_ char *text = machine_file_read(directory, MACHINE_FILE_OOM_KILLS);
        Counts said = { 0 }, now;
        char numbers[80];

        if (count(machine, groups, &now) < 0)
                return NULL;
        if (text)
                (void) sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64, &said.kills, &said.own, &said.all);
        if (now.kills <= said.kills)
                return NULL;
        snprintf(numbers, sizeof(numbers), "%" PRIu64 " %" PRIu64 " %" PRIu64, now.kills, now.own, now.all);
        (void) machine_file_write(directory, MACHINE_FILE_OOM_KILLS, numbers);
        return describe(machine, &said, &now);
}

bool ended_out_of_memory(const char *why) {
        return streq_null(why, OF_JOB) || streq_null(why, OF_WHOLE_JOB) || streq_null(why, OF_ALL);
}
