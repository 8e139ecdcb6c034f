/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Removes @name below @dir_fd and everything in it, whoever owns it, however deep, immutable or not. Follows no symlink and
 * enters no mount, not even of the same file system (-EBUSY, -EXDEV). Tries again if others still write to the tree. Nothing
 * there is success. 0, or the first -errno with all removed that could be. */
int remove_tree_at(int dir_fd, const char *name);

/* The same until @deadline (clock_deadline()): then -ETIME, and a later call goes on with the rest. */
int remove_tree_until(int dir_fd, const char *name, uint64_t deadline);

/* Undoes `chattr +i` and `+a` on @fd, a file or directory. Root of a container without user namespace may set these flags,
 * and they would stop us, too. Returns whether there was something to undo. */
bool tree_clear_protection(int fd);
