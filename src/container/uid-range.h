/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"
#include "config/settings.h"

/* A range of UIDs and GIDs that no other container uses. systemd-nspawn and systemd give them out in blocks of 65536,
 * each with an open file description lock on /run/systemd/nspawn-uid/BASE (in decimal), which ends with its holder. A
 * range is one or more blocks in a row; each is locked. */
typedef struct UidRange {
        uid_t base; /* at the beginning of a block */
        uint32_t width;
        size_t n_locks; /* blocks that are locked */
        int lock_fds[UID_RANGE_MAX / UID_BLOCK];
} UidRange;

/* Picks and locks a free range of @width users, a multiple of UID_BLOCK up to UID_RANGE_MAX; @holder (the machine's name,
 * or the path of the tree that is worked on) decides where the search starts and is written to the locks' files. Ranges with users of the host (/etc/passwd, /etc/group), or that the host gave to its
 * users for containers of theirs (/etc/subuid, /etc/subgid), are left out. 0; -EBUSY when there is none left; -EINVAL
 * for another width; or -errno. */
int uid_range_acquire(const char *holder, uint64_t width, UidRange *ret);

/* Gives the range back and removes the files of its locks. A zeroed one is fine. */
void uid_range_release(UidRange *range);

/* Removes files of blocks that nobody holds (their holder was killed). With @dry_run only counts. Returns how many, or
 * -errno. */
int uid_range_collect(bool dry_run);

/* Whether passwd, group, subuid or subgid in directory @etc have something in the range. */
bool uid_range_is_known(const char *etc, uid_t base, uint32_t width);
