/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "storage/storage.h"

/* What the drivers have in common in mounting. All of it happens in the caller's own mount namespace. */

/* A detached mount of directory @path below @dir_fd ("" for @dir_fd itself), with its owners mapped through
 * @userns_fd unless that is negative; devices on a mapped one cannot be opened. Returns the descriptor (O_PATH; its
 * mount goes with it unless it is attached), -EOPNOTSUPP when the file system cannot be mapped, or -errno. */
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
