/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The lock on a directory (flock). Jobs that read from a tree share it; a process that removes a tree or works in a
 * staging directory has it alone. This must never wait: callers that want to wait do so themselves. */

#include "image/lock.h"

#include "base/lock.h"

int image_lock_shared(int fd) {
        return lock_try(fd, LOCK_SH);
}

int image_lock_exclusive(int fd) {
        return lock_try(fd, LOCK_EX);
}
