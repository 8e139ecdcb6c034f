/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* Makes @target, a normalized absolute path in the tree @root_fd, a place to mount on if it is not there: a directory, or
 * an empty file. It and missing parents belong to @owner, user and group; what is there stays. Symlinks are followed as
 * they will be in the container. 0; -EISDIR or -ENOTDIR: what is there is of the other kind; or -errno. */
int bind_target_make(int root_fd, const char *target, bool directory, uid_t owner);
