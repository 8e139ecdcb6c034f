/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a container has used of the host, and which limits it ran into, as its control groups count it. Called by `run`
 * after a failed script, by `supervise` at the container's end, by `cleanup` and by `status`. The files are read only; a
 * job can make groups below its own, so there may be many. */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "container/cgroup.h"

#define FILE_MAX_BYTES (1024 * 1024)

static int read_group_file(const CgroupDirectory *directory, const char *name, char **ret) {
        _cleanup_close_ int fd = open(directory->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : file_read_at(fd, name, FILE_MAX_BYTES, ret, NULL);
}

static int read_number(const CgroupDirectory *directory, const char *name, uint64_t *ret) {
        _cleanup_close_ int fd = open(directory->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : file_read_number_at(fd, name, ret);
}

int cgroup_memory_bytes(const CgroupSet *set, uint64_t *ret) {
        for (size_t i = 0; i < set->n; i++) {
                unsigned flags = set->directories[i].flags;
                const char *file = flags & CGROUP_UNIFIED ? "memory.current" : "memory.usage_in_bytes";

                if ((flags & (CGROUP_UNIFIED | CGROUP_MEMORY)) && read_number(&set->directories[i], file, ret) >= 0)
                        return 0;
        }
        return -ENODATA;
}

int cgroup_oom_kills(const CgroupSet *set, uint64_t *ret) {
        for (size_t i = 0; i < set->n; i++) {
                _cleanup_free_ char *text = NULL;
                unsigned flags = set->directories[i].flags;
                const char *file = flags & CGROUP_UNIFIED ? "memory.events" : "memory.oom_control";

                if (!(flags & (CGROUP_UNIFIED | CGROUP_MEMORY)) ||
                    read_group_file(&set->directories[i], file, &text) < 0)
                        continue;
                const char *line = strstr(text, "oom_kill ");
                if (line && sscanf(line, "oom_kill %" SCNu64, ret) == 1)
                        return 0;
        }
        return -ENODATA;
}

static int read_count(const CgroupDirectory *directory, const char *name, const char *key, uint64_t *ret) {
        _cleanup_free_ char *text = NULL;
        uint64_t value;

        int r = read_group_file(directory, name, &text);
        if (r < 0)
                return r;
        for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
                const char *number = startswith(line, key);

                if (number && sscanf(number, " %" SCNu64, &value) == 1) {
                        *ret = value;
                        return 0;
                }
        }
        return -ENODATA;
}

int cgroup_memory_exceeded(const CgroupSet *set, uint64_t *ret_all, uint64_t *ret_own) {
        for (size_t i = 0; i < set->n; i++) {
                const CgroupDirectory *directory = &set->directories[i];

                if ((directory->flags & CGROUP_UNIFIED) &&
                    read_count(directory, "memory.events", "oom ", ret_all) >= 0 &&
                    read_count(directory, "memory.events.local", "oom ", ret_own) >= 0)
                        return 0;
                if ((directory->flags & CGROUP_MEMORY) && read_count(directory, "memory.failcnt", "", ret_all) >= 0) {
                        *ret_own = *ret_all;
                        return 0;
                }
        }
        return -ENODATA;
}

/* Was a group removed meanwhile, or does it not have the file? */
static bool is_gone(int r) {
        return r == -ENOENT || r == -ENODEV;
}

/* Adds up how often a process could not be made in the group @fd (consumed) and those below. Until Linux 6.10, the kernel
 * counts in the group of the process that wanted to make one, and from 6.11 on in that of the limit. 0 or -errno. */
static int add_refused(int fd, unsigned depth, uint64_t *total) {
        _cleanup_free_ char *text = NULL;
        uint64_t refused;

        _cleanup_closedir_ DIR *dir = directory_stream(fd);
        if (!dir)
                return -errno;
        int r = file_read_at(dirfd(dir), "pids.events", FILE_MAX_BYTES, &text, NULL);
        if (r < 0 && !is_gone(r))
                return r;
        if (r >= 0 && sscanf(text, "max %" SCNu64, &refused) == 1)
                *total += refused;
        while (depth > 0) {
                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                if (entry->d_type != DT_DIR)
                        continue;
                int child = open_directory_at(dirfd(dir), entry->d_name, false, 0);
                r = child < 0 ? child : add_refused(child, depth - 1, total);
                if (r < 0 && !is_gone(r))
                        return r;
        }
        return 0;
}

int cgroup_tasks_refused(const CgroupSet *set, uint64_t *ret) {
        for (size_t i = 0; i < set->n; i++) {
                if (!(set->directories[i].flags & (CGROUP_UNIFIED | CGROUP_PIDS)))
                        continue;
                int fd = open(set->directories[i].path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (fd < 0 || !exists_at(fd, "pids.events")) {
                        closep(&fd);
                        continue;
                }
                uint64_t total = 0;
                if (add_refused(fd, CGROUP_DEPTH_MAX, &total) < 0)
                        return -ENODATA;
                *ret = total;
                return 0;
        }
        return -ENODATA;
}

int cgroup_tasks_refused_own(const CgroupSet *set, uint64_t *ret) {
        for (size_t i = 0; i < set->n; i++)
                if ((set->directories[i].flags & CGROUP_UNIFIED) &&
                    read_count(&set->directories[i], "pids.events.local", "max ", ret) >= 0)
                        return 0;
        return -ENODATA;
}

int cgroup_cpu_usec(const CgroupSet *set, uint64_t *ret) {
        for (size_t i = 0; i < set->n; i++) {
                _cleanup_free_ char *text = NULL;
                const CgroupDirectory *directory = &set->directories[i];
                uint64_t nsec;

                if ((directory->flags & CGROUP_CPU) && read_number(directory, "cpuacct.usage", &nsec) >= 0) {
                        *ret = nsec / NSEC_PER_USEC;
                        return 0;
                }
                /* In version 2, every group has this file, even without the controller. */
                if ((directory->flags & CGROUP_UNIFIED) && read_group_file(directory, "cpu.stat", &text) >= 0 &&
                    sscanf(text, "usage_usec %" SCNu64, ret) == 1)
                        return 0;
        }
        return -ENODATA;
}

int cgroup_memory_peak_bytes(const CgroupSet *set, uint64_t *ret) {
        for (size_t i = 0; i < set->n; i++) {
                const CgroupDirectory *directory = &set->directories[i];

                /* Linux 5.19 */
                if ((directory->flags & CGROUP_UNIFIED) && read_number(directory, "memory.peak", ret) >= 0)
                        return 0;
                if ((directory->flags & CGROUP_MEMORY) && read_number(directory, "memory.max_usage_in_bytes", ret) >= 0)
                        return 0;
        }
        return -ENODATA;
}

int cgroup_written_bytes(const CgroupSet *set, uint64_t *ret) {
        for (size_t i = 0; i < set->n; i++) {
                _cleanup_free_ char *text = NULL;
                uint64_t most = 0;

                if (!(set->directories[i].flags & CGROUP_UNIFIED) ||
                    read_group_file(&set->directories[i], "io.stat", &text) < 0)
                        continue;
                for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
                        const char *found = strstr(line, " wbytes=");
                        uint64_t bytes;

                        if (found && found < line + strcspn(line, "\n") &&
                            sscanf(found, " wbytes=%" SCNu64, &bytes) == 1)
                                most = MAX(most, bytes);
                }
                *ret = most;
                return 0;
        }
        return -ENODATA;
}
