/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "tree/inode-table.h"

/* Adds up what several trees occupy together. What they share counts once: extents that the file system knows to be shared
 * (snapshots and copies on btrfs, copies on XFS), and files with several links. */

typedef struct UsageExtent {
        uint64_t start, end; /* on disk, in bytes */
} UsageExtent;

typedef struct Usage {
        uint64_t bytes;      /* of what is not shared */
        UsageExtent *shared; /* the rest, in no order */
        size_t n_shared, allocated;
        InodeTable counted; /* files with several links */
} Usage;

void usage_done(Usage *usage);
#define _cleanup_usage_ _cleanup_(usage_done)

/* What one of the trees occupies. */
typedef struct UsageOfTree {
        uint64_t bytes;     /* all that is in it */
        uint64_t own_bytes; /* what is in no other file: so much is free when it is removed */
} UsageOfTree;

/* Adds a tree, which jobs may have filled and may change meanwhile. It may be a file, too. Stays on its file system and on
 * subvolumes nested in it. 0 or -errno. */
int usage_add(Usage *usage, int tree_fd, UsageOfTree *ret);

/* All together. */
uint64_t usage_total(Usage *usage);
