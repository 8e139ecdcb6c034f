/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a memory size of the configuration comes to on this host. Called when the plan of a container is made; later
 * changes of the host's memory do not count. */

#include "config/value.h"

#include <unistd.h>

uint64_t memory_size_of(MemorySize size, uint64_t whole_bytes) {
        return size.permyriad == 0 ? size.bytes : (uint64_t) ((unsigned __int128) whole_bytes * size.permyriad / 10000);
}

uint64_t memory_size_bytes(MemorySize size) {
        if (size.permyriad == 0)
                return size.bytes;

        uint64_t pages = (uint64_t) sysconf(_SC_PHYS_PAGES), page_bytes = (uint64_t) sysconf(_SC_PAGESIZE);
        return pages * size.permyriad / 10000 * page_bytes;
}
