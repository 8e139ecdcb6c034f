/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"
#include "config/settings.h"

/* The directory of the lock files, shared with systemd. */
#define UID_RANGE_LOCKS "/run/systemd/nspawn-uid"

/* A range of UIDs and GIDs that no other container uses: one or more blocks of 65536 in a row, each of them locked. As
 * systemd-nspawn and systemd do, we lock a block by an open file description lock on UID_RANGE_LOCKS/BASE (in
 * decimal), which the kernel drops with its holder. */
typedef struct UidRange {
        uid_t base; /* at the beginning of a block */
        uint32_t width;
        size_t n_locks; /* blocks that are locked */
        int lock_fds[UID_RANGE_MAX / UID_BLOCK];
} UidRange;

/* Picks and locks a free range of @width users, a multiple of UID_BLOCK up to UID_RANGE_MAX. @holder (the container's
 * name, or the path of the tree that is worked on) decides where the search starts, and is written to the lock files.
 * Ranges with users of the host (/etc/passwd, /etc/group), or for containers of its users (/etc/subuid, /etc/subgid),
 * are left out. 0;
 * -EBUSY: none is free; -EINVAL for another width; or another -errno. */
int uid_range_acquire(const char *holder, uint64_t width, UidRange *ret);

/* Gives the range back and removes its lock files. All zero is fine. */
void uid_range_release(UidRange *range);

/* Removes lock files that nobody holds, as their holder was killed; with @dry_run it only counts them, and keeps nobody
 * else from removing them. Returns how many, or -errno. */
int uid_range_collect(bool dry_run);

/* Do passwd, group, subuid or subgid in directory @etc name a number in the range? True also where one that is there
 * cannot be read. */
bool uid_range_is_known(const char *etc, uid_t base, uint32_t width);
