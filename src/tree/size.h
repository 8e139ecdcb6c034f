/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* Adds up the bytes on disk. Each file counts once, however many links it has. Stays on the file system of @tree_fd and
 * subvolumes nested in it. Files may disappear meanwhile. 0 or -errno. */
int tree_size(int tree_fd, uint64_t *ret_bytes);

/* The same as far as it is done by @deadline (clock_deadline()): then -ETIME, with *ret_bytes what was counted. */
int tree_size_until(int tree_fd, uint64_t deadline, uint64_t *ret_bytes);

/* Is the tree larger than @max_bytes? Here each entry counts for at least 4 KiB, as a file system can run out of inodes, too,
 * and directories nested deeper than 256 count as too large. A hostile program may be writing to the tree. 1 or 0; or
 * -errno. */
int tree_is_larger(int tree_fd, uint64_t max_bytes);

/* Files of users or groups with numbers of a limit and above. */
typedef struct ForeignOwners {
        uint64_t n;    /* how many files, directories and so on */
        char *example; /* the path of one in the tree, without a slash at its beginning; NULL: there is none */
        uid_t uid;     /* of the example */
        gid_t gid;
} ForeignOwners;

/* Counts as tree_size() does. @ret->example is to be freed. 0 or -errno. */
int tree_foreign_owners(int tree_fd, uint64_t limit, ForeignOwners *ret);
