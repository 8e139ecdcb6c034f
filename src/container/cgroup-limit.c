/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Sets the limits of a container's control groups, and tells which limits bind. Called where no systemd does it
 * (detached.c), by `supervise` for the number of groups, and by `prepare` and `doctor` to warn of limits that this
 * host cannot enforce. It makes, fills and removes no group. */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "container/cgroup.h"

static int write_number(const char *directory, const char *file, uint64_t value, const char *unlimited) {
        char number[24];
        _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        snprintf(number, sizeof(number), "%" PRIu64, value);
        return file_write_string_at(fd, file, value == UINT64_MAX ? unlimited : number);
}

int cgroup_limit(const CgroupSet *set, const CgroupLimits *limits) {
        /* The v2 file of each limit and what v1 has in its place; cpu.shares counts 1024 where cpu.weight has 100. */
        const struct {
                unsigned v1_controller;
                const char *v2_file, *v1_file;
                uint64_t v2_value, v1_value;
                bool required;
        } files[] = {
                { CGROUP_MEMORY, "memory.high", NULL, limits->memory_high_bytes, 0, false },
                { CGROUP_MEMORY, "memory.max", "memory.limit_in_bytes", limits->memory_max_bytes,
                  limits->memory_max_bytes, true },
                { CGROUP_PIDS, "pids.max", "pids.max", limits->tasks_max, limits->tasks_max, true },
                { CGROUP_CPU, "cpu.weight", "cpu.shares", limits->cpu_weight,
                  MAX(limits->cpu_weight * 1024 / 100, UINT64_C(2)), true },
        };
        int result = 0;

        for (size_t f = 0; f < ELEMENTSOF(files); f++) {
                bool done = false;

                for (size_t i = 0; i < set->n; i++) {
                        const CgroupDirectory *directory = &set->directories[i];

                        if (directory->flags & CGROUP_UNIFIED)
                                done |= write_number(directory->path, files[f].v2_file, files[f].v2_value, "max") >= 0;
                        else if ((directory->flags & files[f].v1_controller) && files[f].v1_file)
                                done |= write_number(directory->path, files[f].v1_file, files[f].v1_value,
                                                     files[f].v1_controller == CGROUP_MEMORY ? "-1" : "max") >= 0;
                }
                if (!done && files[f].required)
                        result = -EOPNOTSUPP;
        }
        return result;
}

uint64_t cgroup_host_tasks(void) {
        static const char *const files[] = { "/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max" };
        uint64_t least = UINT64_MAX;

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                uint64_t value;

                if (file_read_number_at(AT_FDCWD, files[i], &value) >= 0)
                        least = MIN(least, value);
        }
        return least;
}

unsigned cgroup_limited(const CgroupSet *set) {
        static const struct {
                unsigned controller;
                const char *v2_file, *v1_file;
        } files[] = {
                { CGROUP_MEMORY, "memory.max", "memory.limit_in_bytes" },
                { CGROUP_PIDS, "pids.max", "pids.max" },
                { CGROUP_CPU, "cpu.weight", "cpu.shares" },
        };
        unsigned found = 0;

        for (size_t i = 0; i < set->n; i++) {
                const CgroupDirectory *directory = &set->directories[i];
                _cleanup_close_ int fd = open(directory->path, O_PATH | O_DIRECTORY | O_CLOEXEC);

                for (size_t f = 0; fd >= 0 && f < ELEMENTSOF(files); f++)
                        if (((directory->flags & CGROUP_UNIFIED) && exists_at(fd, files[f].v2_file)) ||
                            ((directory->flags & files[f].controller) && exists_at(fd, files[f].v1_file)))
                                found |= files[f].controller;
        }
        return found;
}

int cgroup_bound(const CgroupSet *set) {
        for (size_t i = 0; i < set->n; i++) {
                const char *path = set->directories[i].path;

                if (!(set->directories[i].flags & CGROUP_UNIFIED))
                        continue;
                int r = write_number(path, "cgroup.max.descendants", CGROUP_DESCENDANTS_MAX, NULL);
                if (r < 0)
                        return r;
                r = write_number(path, "cgroup.max.depth", CGROUP_DEPTH_MAX, NULL);
                if (r < 0)
                        return r;
        }
        return 0;
}
