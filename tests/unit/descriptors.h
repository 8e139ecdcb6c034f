/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <dirent.h>

#include "base/fd.h"

/* How many descriptors process @pid (0: this one) has open: -errno when that cannot be read. */
static inline int count_descriptors(pid_t pid) {
        char path[64];
        int n = 0;

        snprintf(path, sizeof(path), pid > 0 ? "/proc/%d/fd" : "/proc/self/fd", (int) pid);
        _cleanup_closedir_ DIR *dir = opendir(path);
        if (!dir)
                return -errno;
        while (readdir(dir))
                n++;
        return n;
}
