/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Who reads an image and who changes it, by flock on the image's directory: it ends with its holder, however that ends.
 * Jobs whose root is an overlay of the image (StorageDriver.needs_image) hold the shared lock as long as they live, in
 * `supervise`; who makes a copy holds it while copying. Who changes the image in place holds it exclusively.
 *
 * The lock belongs to the open file @fd refers to: open the image anew for it, and keep that descriptor from children
 * (O_CLOEXEC), or they keep the lock. Neither function waits. 0; -EBUSY when the other side has it; or -errno. */
int image_lock_shared(int fd);
int image_lock_exclusive(int fd);
