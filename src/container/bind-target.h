/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* Makes a directory or an empty file to mount on at @target, a normalized absolute path in the tree @root_fd, unless it is
 * there. It and missing parents belong to user and group @owner. Symlinks are followed as they will be in the container. 0;
 * -EISDIR or -ENOTDIR: what is there is of the other kind; or another -errno. */
int bind_target_make(int root_fd, const char *target, bool directory, uid_t owner);
