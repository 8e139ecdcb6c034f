/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "tree/extent-set.h"
#include "tree/inode-table.h"

/* Adds up what several trees occupy together. Shared data counts once: extents that the file system knows to be shared
 * (snapshots and copies on btrfs, copies on XFS), and files with several links. Where there are too many to know each, it
 * counts too much rather than too little: extents as not shared, and links as tree_walk() does. */

typedef struct Usage {
        uint64_t bytes;     /* of data that is not shared */
        ExtentSet shared;   /* shared data */
        InodeTable counted; /* files with several links */
} Usage;

void usage_done(Usage *usage);
#define _cleanup_usage_ _cleanup_(usage_done)

/* What one of the trees occupies. */
typedef struct UsageOfTree {
        uint64_t bytes;     /* everything in it */
        uint64_t own_bytes; /* what no other file shares: what becomes free when the tree is removed */
} UsageOfTree;

/* Adds a tree, or a file. Jobs may have filled the tree and may change it meanwhile. Stays on its file system and on
 * subvolumes nested in it. 0 with the tree's own numbers in *ret; -ETIME with those of what was added by @deadline
 * (clock_deadline()); or another -errno. */
int usage_add(Usage *usage, int tree_fd, uint64_t deadline, UsageOfTree *ret);

/* Returns the bytes that all trees occupy together. */
uint64_t usage_total(Usage *usage);
