/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The lock on a directory (flock). Jobs that read from a tree share it; a process that removes a tree or works in a
 * staging directory has it alone. This must never wait: callers that want to wait do so themselves. */

#include "image/lock.h"

#include <sys/file.h>

static int lock(int fd, int operation) {
        if (flock(fd, operation | LOCK_NB) >= 0)
                return 0;
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
}

int image_lock_shared(int fd) {
        return lock(fd, LOCK_SH);
}

int image_lock_exclusive(int fd) {
        return lock(fd, LOCK_EX);
}
