/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/file-system.h"
#include "config/settings.h"

/* What the file system of root_dir has, and what the setting disk_reserve wants to be free. */
typedef struct Space {
        FileSystemSpace now;
        uint64_t reserve_bytes, reserve_files;
} Space;

/* Is as much free as disk_reserve says? 1; 0: less, as *ret says; or -errno (-ENOENT: no root_dir). */
int space_look(const Settings *settings, Space *ret);

/* Before a job starts: if less is free than disk_reserve says, removes what nobody needs, one after the other, until it
 * will do: what ended jobs wrote, what interrupted commands left, old generations that are not kept, caches and working
 * copies of projects that no job has, and images of registries that no job uses, the least recently used first, but not
 * @spare (the job's own; or NULL). Waits, at most a minute, for those who remove something already. Returns 1: there is
 * enough; 0: there is not, as *ret says; -ECANCELED: @cancel_fd became readable; or another -errno. */
int space_make(const Settings *settings, const char *spare, int cancel_fd, Space *ret);
