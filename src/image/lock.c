/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The lock on a directory (flock): jobs that read from a tree share it, and whoever removes a tree or works in a
 * staging directory has it alone. Never waits: whoever wants to wait does so itself. */

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
