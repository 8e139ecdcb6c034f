/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Removes @name below @dir_fd and everything in it, whoever owns it, however deep, immutable or not: never follows a
 * symlink, never enters a mount, of the same file system neither (-EBUSY, -EXDEV). A tree that others still write to is tried
 * again. Missing is success. Returns 0 or the first -errno, having removed all that could be removed. */
int remove_tree_at(int dir_fd, const char *name);

/* The same as far as it is done by @deadline (clock_deadline()): then -ETIME, and a later call goes on with the rest. */
int remove_tree_until(int dir_fd, const char *name, uint64_t deadline);

/* Undoes `chattr +i` and `+a` on @fd, a file or directory: root of a container without user namespace may set them, and
 * they hold for us, too. Returns whether there was something to undo. */
bool tree_clear_protection(int fd);
