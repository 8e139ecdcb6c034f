/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds in the kernel's log which process of a machine it killed because memory was short: nothing else tells. Called
 * after a script failed for it. Names of processes and of groups below the machine's own are the job's choice. */

#include "machine/kernel-log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/string.h"
#include "container/slice.h"

/* A record of the kernel has at most so many bytes (CONSOLE_EXT_LOG_MAX). */
#define RECORD_MAX_BYTES 8192

#define GROUP_KEY ",oom_memcg="
#define TASK_KEY ",task_memcg="

/* Does @text go on with the name of a machine's group or unit, as a whole component of a path? */
static bool is_group(const char *text, const char *name) {
        const char *rest = startswith(text, name);

        if (!rest)
                return false;
        if (startswith(rest, ".service"))
                rest += strlen(".service");
        return strchr("/,", *rest);
}

/* The memory of a job's slice was short, and the process was in its machine @name. */
static bool is_of_slice(const char *group, size_t length, const char *task, const char *slice, const char *name) {
        size_t n = strlen(slice);

        return length > n && group[length - n - 1] == '/' && strncmp(group + length - n, slice, n) == 0 &&
               strncmp(task, group, length) == 0 && task[length] == '/' && is_group(task + length + 1, name);
}

/* Does the message name the group of machine @name, or that of its job and the machine as the one of the process? */
static bool is_of_machine(const char *message, const char *name, const char *slice) {
        const char *group = strstr(message, GROUP_KEY), *task = group ? strstr(group, TASK_KEY) : NULL;

        if (!task)
                return false;
        group += strlen(GROUP_KEY);
        size_t length = (size_t) (task - group);
        for (const char *found = memchr(group, '/', length); found && found < task; found = strchr(found + 1, '/'))
                if (is_group(found + 1, name))
                        return true;
        return slice && is_of_slice(group, length, task + strlen(TASK_KEY), slice, name);
}

static uint64_t kilobytes_after(const char *text, const char *key) {
        const char *found = strstr(text, key);
        uint64_t value = 0;

        if (found && sscanf(found + strlen(key), "%" SCNu64 "kB", &value) != 1)
                value = 0;
        return value * 1024;
}

bool oom_victim_read(const char *message, const char *name, bool *ours, OomVictim *ret) {
        if (startswith(message, "oom-kill:")) {
                _cleanup_free_ char *slice = NULL;

                (void) slice_name(name, &slice);
                *ours = is_of_machine(message, name, slice);
                return false;
        }
        const char *killed = startswith(message, "Memory cgroup out of memory: Killed process ");
        if (!killed || !*ours)
                return false;
        *ours = false;
        const char *begin = strchr(killed, '('), *end = strstr(killed, ") total-vm:");
        if (!begin || !end || end < begin)
                return false;
        snprintf(ret->name, sizeof(ret->name), "%.*s", (int) (end - begin - 1), begin + 1);
        ret->used_bytes = kilobytes_after(end, "anon-rss:") + kilobytes_after(end, "file-rss:") +
                          kilobytes_after(end, "shmem-rss:");
        return true;
}

bool oom_victim_find(const char *name, OomVictim *ret) {
        char record[RECORD_MAX_BYTES + 1];
        bool found = false, ours = false;

        _cleanup_close_ int fd = open("/dev/kmsg", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return false;
        for (;;) {
                ssize_t n = read(fd, record, RECORD_MAX_BYTES);
                if (n < 0 && (errno == EPIPE || errno == EINTR)) /* it was overwritten while we read */
                        continue;
                if (n <= 0)
                        return found;
                record[n] = 0;
                record[strcspn(record, "\n")] = 0; /* what follows are its fields */
                const char *message = strchr(record, ';');
                OomVictim victim;
                if (message && oom_victim_read(message + 1, name, &ours, &victim)) {
                        *ret = victim;
                        found = true;
                }
        }
}
