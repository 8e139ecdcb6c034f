/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Removes @name in @dir_fd and everything in it, whoever owns it, however deep it is, immutable or not. Follows no
 * symlink and enters no mount, not even of the same file system (-EBUSY, -EXDEV). Tries again if others still write to
 * the tree. A missing @name is success. Returns 0, or the first -errno after it removed everything that it could. */
int remove_tree_at(int dir_fd, const char *name);

/* The same, but ends with -ETIME at @deadline (clock_deadline()); a later call goes on with the rest. */
int remove_tree_until(int dir_fd, const char *name, uint64_t deadline);

/* Undoes `chattr +i` and `+a` on @fd, a file or directory. Root in a container without a user namespace may set these
 * flags, and they would stop us, too. Returns whether there was something to undo. */
bool tree_clear_protection(int fd);
