/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What values of the configuration mean: a memory size on this host, a word of GitLab's. Called when the plan of a
 * container is made, and when room on the disk is looked for; later changes of the host's memory do not count for a
 * container. It must never refuse a value: the reader does that. */

#include "config/value.h"

#include <unistd.h>

#include "base/string.h"

uint64_t memory_size_of(MemorySize size, uint64_t whole_bytes) {
        return size.permyriad == 0 ? size.bytes : (uint64_t) ((unsigned __int128) whole_bytes * size.permyriad / 10000);
}

uint64_t memory_size_bytes(MemorySize size) {
        if (size.permyriad == 0)
                return size.bytes;

        uint64_t pages = (uint64_t) sysconf(_SC_PHYS_PAGES), page_bytes = (uint64_t) sysconf(_SC_PAGESIZE);
        return pages * size.permyriad / 10000 * page_bytes;
}

PullPolicy pull_policy_parse(const char *text) {
        return streq(text, "never")          ? PULL_NEVER :
               streq(text, "if-not-present") ? PULL_IF_NOT_PRESENT :
               streq(text, "always")         ? PULL_ALWAYS :
                                               PULL_INVALID;
}
