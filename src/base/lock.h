/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/file.h>
#include <sys/types.h>

#include "base/macro.h"

/* Locks of flock(2), on files and directories. A lock belongs to the open file and ends with its last descriptor, also when
 * its holder is killed. @operation is LOCK_SH, LOCK_EX or LOCK_UN. */

/* Does not wait. 0; -EBUSY: another process has a lock that excludes ours; or another -errno. */
int lock_try(int fd, int operation);

/* Waits at most @timeout_usec, or for as long as it takes with USEC_INFINITY, also across signals. Returns as lock_try(). */
int lock_wait(int fd, int operation, uint64_t timeout_usec);

/* Is the open file @fd what has the path @name in @dir_fd now? A lock on one that has been removed or renamed keeps nobody
 * away. A symlink is not followed. 1, 0 or -errno. */
int file_is_at(int fd, int dir_fd, const char *name);

/* Opens directory @name in @dir_fd and locks it, without waiting; @create makes it if it is missing, with mode 0700. Returns
 * the descriptor; -EBUSY as above; -ENOENT: there is none, and it was not to be made; -ESTALE: another process removed it, or
 * put another one there, meanwhile; or another -errno. */
int directory_lock_now(int dir_fd, const char *name, bool create, int operation);

/* The same, again while it is removed under our hands, and waiting at most @timeout_usec for the lock. -ESTALE only if @dir_fd
 * has itself been removed, as nothing can be made there. */
int directory_lock(int dir_fd, const char *name, bool create, int operation, uint64_t timeout_usec);
