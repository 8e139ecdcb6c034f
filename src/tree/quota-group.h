/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Quota groups of btrfs: each subvolume has one, which counts what the subvolume refers to. By the kernel's ioctls
 * (linux/btrfs.h) and what it says in /sys/fs/btrfs/FSID/qgroups. */

typedef enum QuotaState {
        QUOTA_OFF,       /* also on Linux before 6.1, which does not tell */
        QUOTA_UNCOUNTED, /* they are on, but until the kernel has counted anew, limits may not hold */
        QUOTA_ON,
} QuotaState;

/* The state of the btrfs that @fd is on. QUOTA_OFF if it is on another file system. */
QuotaState quota_state(int fd);

/* Limits what the subvolume that @fd is in may refer to. 0; -ENOTCONN: quotas are off; or another -errno. */
int quota_group_limit(int fd, uint64_t max_bytes);

/* What the subvolume that @fd is in refers to, with what is not written yet. 0; -ENOENT: quotas are off; or another
 * -errno. */
int quota_group_usage(int fd, uint64_t *ret_bytes);

/* Removes what a subvolume that was removed left: @fd is on its file system, @id is its number. 0: it is gone; -EINPROGRESS:
 * the kernel is still removing the subvolume; -EBUSY: it has removed that, but still counts something, until it writes its
 * counts, or as long as others share what was written there; or another -errno. */
int quota_group_remove(int fd, uint64_t id);
