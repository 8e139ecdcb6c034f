/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* Adds up the bytes that a tree occupies on disk. Each file counts once, however many links it has. Stays on the file
 * system of @tree_fd and subvolumes nested in it. Files may disappear meanwhile. 0 or -errno. */
int tree_size(int tree_fd, uint64_t *ret_bytes);

/* The same, but ends with -ETIME at @deadline (clock_deadline()); *ret_bytes is then what was counted until then. */
int tree_size_until(int tree_fd, uint64_t deadline, uint64_t *ret_bytes);

/* Is the tree larger than @max_bytes? Each entry counts for at least 4 KiB, because a file system can also run out of
 * inodes, and a tree with directories nested deeper than 256 counts as too large. A hostile program may be writing to
 * the tree meanwhile. Returns 1 or 0; or -errno. */
int tree_is_larger(int tree_fd, uint64_t max_bytes);

/* Files whose user or group has a number that is not below a limit. */
typedef struct ForeignOwners {
        uint64_t n;    /* how many files, directories and so on */
        char *example; /* the path of one in the tree, without a slash at its beginning; NULL: there is none */
        uid_t uid;     /* of the example */
        gid_t gid;
} ForeignOwners;

/* Counts files whose user or group number is @limit or more; walks as tree_size() does. @ret->example is to be freed. 0
 * or -errno. */
int tree_foreign_owners(int tree_fd, uint64_t limit, ForeignOwners *ret);
