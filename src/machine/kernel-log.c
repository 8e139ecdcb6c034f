/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds in the kernel's log which process of a machine it killed because memory was short: nothing else tells. Called
 * after a script failed for it. Names of processes and of groups below the machine's own are the job's choice. */

#include "machine/kernel-log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/string.h"

/* A record of the kernel has at most so many bytes (CONSOLE_EXT_LOG_MAX). */
#define RECORD_MAX_BYTES 8192

/* Does the message name the group of machine @name, as a component of the path, with or without ".service"? */
static bool is_of_machine(const char *message, const char *name) {
        const char *group = strstr(message, ",oom_memcg=");
        size_t n = strlen(name);

        if (!group)
                return false;
        const char *end = strstr(group, ",task_memcg=");
        for (const char *found = strstr(group, name); found && (!end || found < end); found = strstr(found + 1, name))
                if (found[-1] == '/' && strchr("./,", found[n]))
                        return true;
        return false;
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
                *ours = is_of_machine(message, name);
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
