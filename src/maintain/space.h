/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/file-system.h"
#include "config/settings.h"

/* How much room the file system of root_dir has, and how much the setting disk_reserve wants to be free. */
typedef struct Space {
        FileSystemSpace now;
        uint64_t reserve_bytes, reserve_files;
} Space;

/* Is as much room free as disk_reserve says? Returns 1: yes; 0: no; both with the numbers in *ret; or -errno (-ENOENT:
 * there is no root_dir). */
int space_look(const Settings *settings, Space *ret);

/* Makes room before a job starts: while less is free than disk_reserve says, removes what nobody needs, in this order:
 * what ended jobs wrote, containers of failed jobs that are only kept for people to look at, what interrupted commands
 * left, old generations that are not kept, caches and working copies of projects that no job uses, and images of
 * registries that no job uses, the least recently used first, but not @spare (the job's own image; or NULL). Waits at
 * most a minute for processes that are already removing something. Returns 1: there is enough room; 0: there is not;
 * both with the numbers in *ret; -ECANCELED: @cancel_fd became readable; or another -errno. */
int space_make(const Settings *settings, const char *spare, int cancel_fd, Space *ret);
