/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* A range of 65536 UIDs and GIDs that no other container uses: locked as systemd-nspawn and systemd lock theirs, with
 * an open file description lock on /run/systemd/nspawn-uid/BASE, which ends with its holder. */
typedef struct UidRange {
        uid_t base;
        int lock_fd;
} UidRange;

#define UID_RANGE_NONE                       \
        (UidRange) {                         \
                .base = 0, .lock_fd = -EBADF \
        }

/* Picks and locks a free range; @seed (the machine's name) decides where the search starts. 0; -EBUSY when hundreds
 * of tries found none; or -errno. */
int uid_range_acquire(const char *seed, UidRange *ret);

/* Gives the range back and removes the lock's file. */
void uid_range_release(UidRange *range);

/* Removes files of ranges that nobody holds (their holder was killed) among @bases... all of them. With @dry_run only
 * counts. Returns how many, or -errno. */
int uid_range_collect(bool dry_run);
