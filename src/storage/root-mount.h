/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "storage/storage.h"

/* Mounting, for all drivers, in the caller's own mount namespace. */

/* Makes a detached mount of directory @path below @dir_fd ("": of @dir_fd itself). Unless @userns_fd is negative, it
 * maps owners through that namespace, and devices on it cannot be opened. Returns a descriptor (O_PATH; closing it
 * drops a mount that is not attached); -EOPNOTSUPP: the file system cannot be mapped; or another -errno. */
int mount_clone(int dir_fd, const char *path, int userns_fd);

/* Attaches detached mount @mount_fd on directory @target. 0 or -errno. */
int mount_attach(int mount_fd, const char *target);

/* Names below the writable directory of an overlay: what the job changed, and overlayfs's own scratch space. */
#define OVERLAY_UPPER "upper"
#define OVERLAY_WORK "work"

/* Mounts an overlay of the image and the directory @writable_fd, which has an empty directory OVERLAY_UPPER, on the
 * directory @target_fd. Both must have been opened in the present mount namespace, and before something was mounted
 * over them. 0 or -errno. */
int overlay_mount(const StorageMount *mount, int writable_fd, int target_fd);

/* As overlay_mount(), with the root of the new file system that is mounted on the work directory as the writable
 * directory. OVERLAY_UPPER, which is made in it, stays after a failure. */
int overlay_mount_in_work_dir(const StorageMount *mount, int target_fd);
