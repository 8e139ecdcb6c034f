/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* The lock of an image, by flock on its directory: the kernel releases it when its holder ends. `supervise` holds the
 * shared lock for jobs whose root is an overlay of the image (StorageDriver.needs_image); a process that copies the
 * image holds it while copying. A process that removes the image or changes it in place holds the exclusive lock.
 *
 * The lock belongs to the open file of @fd: open the image anew for it, with O_CLOEXEC, or children keep the lock.
 * Neither function waits. 0; -EBUSY: another process has a lock that excludes ours; or another -errno. */
int image_lock_shared(int fd);
int image_lock_exclusive(int fd);
