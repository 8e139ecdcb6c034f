/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* btrfs subvolumes, by libbtrfsutil, which is loaded when it is first needed. -ELIBACC: the library is not
 * installed. */

/* True if @fd is on btrfs. */
bool btrfs_is(int fd);
/* True if @fd is the top directory of a subvolume. Needs no library. */
bool btrfs_is_subvolume(int fd);

/* The number of the subvolume that @fd is in, which is also that of its quota group. 0 or -errno. Needs no library. */
int btrfs_subvolume_id(int fd, uint64_t *ret);

/* Loads libbtrfsutil, if that has not been done. 0 or -ELIBACC. */
int btrfs_load_library(void);

/* Makes an empty subvolume @name in the directory @parent_fd. 0; -EEXIST; or another -errno. */
int btrfs_subvolume_create(int parent_fd, const char *name);

/* Makes a writable snapshot @name, in the directory @parent_fd, of subvolume @source_fd and of subvolumes nested in it.
 * 0, or -errno with nothing left; -EEXIST: something of that name exists, and stays. */
int btrfs_subvolume_snapshot(int source_fd, int parent_fd, const char *name);

/* Removes the subvolume or directory @name with everything in it, also if it is read-only or immutable. A missing @name
 * is success. 0 or -errno. */
int btrfs_subvolume_remove(int parent_fd, const char *name);

/* The same, but ends with -ETIME at @deadline (clock_deadline()); a later call goes on with the rest. */
int btrfs_subvolume_remove_until(int parent_fd, const char *name, uint64_t deadline);
