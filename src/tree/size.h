/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* Bytes on disk, each file counted once however many links it has; stays on the file system of @tree_fd and on
 * the subvolumes nested in it. Files that disappear meanwhile do not matter. 0 or -errno. */
int tree_size(int tree_fd, uint64_t *ret_bytes);

/* The same as far as it is done by @deadline (clock_deadline()): then -ETIME, with *ret_bytes what was counted. */
int tree_size_until(int tree_fd, uint64_t deadline, uint64_t *ret_bytes);

/* Does the tree take up more than @max_bytes, or is it about to? Each entry counts for at least 4 KiB here, as a file system
 * can run out of inodes, too, and what is nested deeper than 256 directories for too much. Somebody may be writing to it,
 * and be hostile. 1 or 0; or -errno. */
int tree_is_larger(int tree_fd, uint64_t max_bytes);

/* What belongs to users or groups that are not below a limit. */
typedef struct ForeignOwners {
        uint64_t n;    /* how many files, directories and so on */
        char *example; /* the path of one in the tree, without a slash at its beginning; NULL: there is none */
        uid_t uid;     /* of the example */
        gid_t gid;
} ForeignOwners;

/* Counts as tree_size() does. @ret->example is to be freed. 0 or -errno. */
int tree_foreign_owners(int tree_fd, uint64_t limit, ForeignOwners *ret);
