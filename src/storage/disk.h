/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* A file system (ext4) in a sparse file of a layer: it has room for so much, and what is removed in it is given back. */

/* What it takes, for people. */
#define DISK_NEEDS "mkfs.ext4 (package e2fsprogs) and loop devices (/dev/loop-control)"

/* Is that there? */
bool disk_possible(void);

/* Makes it in the layer @layer_fd, with room for @bytes and a file for each STORAGE_BYTES_PER_FILE, and mounts it on
 * directory @target, in the caller's own mount namespace. Once for each layer. 0; -EEXIST: the layer has one; -ENOPKG: there
 * is no mkfs.ext4; or another -errno. */
int disk_make(int layer_fd, uint64_t bytes, const char *target);

/* Mounts the one that another process, or this one, has mounted. 0; -ENOENT: the layer has none; -ENODEV: nobody has it
 * mounted any more; or another -errno. */
int disk_join(int layer_fd, const char *target);

/* How many bytes on disk it takes up; 0: there is none. */
uint64_t disk_bytes(int layer_fd);

/* As StorageDriver.remove(). */
int disk_remove(int layer_fd, uint64_t deadline);
