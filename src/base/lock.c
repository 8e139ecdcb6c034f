/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Takes locks, and directories together with their locks. Called by whatever shares a file or a directory with other
 * processes. A directory that is locked here must be the one that has the name: others remove and make them anew. */

#include "base/lock.h"

#include <fcntl.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"

#define POLL_USEC (2 * USEC_PER_MSEC)

/* How often a directory may be removed under our hands, one time right after the other. */
#define STALE_MAX 1000

/* flock() until no signal comes between. */
static int lock(int fd, int operation) {
        while (flock(fd, operation) < 0) {
                if (errno == EINTR)
                        continue;
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        }
        return 0;
}

int lock_try(int fd, int operation) {
        return lock(fd, operation | LOCK_NB);
}

int lock_wait(int fd, int operation, uint64_t timeout_usec) {
        if (timeout_usec == USEC_INFINITY)
                return lock(fd, operation);
        for (uint64_t deadline = clock_deadline(timeout_usec);;) {
                int r = lock_try(fd, operation);
                if (r != -EBUSY || clock_now_usec() >= deadline)
                        return r;
                clock_sleep_usec(POLL_USEC);
        }
}

int file_is_at(int fd, int dir_fd, const char *name) {
        struct stat ours, there;

        if (fstat(fd, &ours) < 0)
                return -errno;
        if (fstatat(dir_fd, name, &there, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        return ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

int directory_lock_now(int dir_fd, const char *name, bool create, int operation) {
        _cleanup_close_ int fd = open_directory_at(dir_fd, name, create, 0700);

        if (fd < 0)
                return fd == -ENOENT && create ? -ESTALE : fd;
        int r = lock_try(fd, operation);
        if (r < 0)
                return r;
        r = file_is_at(fd, dir_fd, name);
        if (r < 0)
                return r;
        return r > 0 ? TAKE_FD(fd) : -ESTALE;
}

int directory_lock(int dir_fd, const char *name, bool create, int operation, uint64_t timeout_usec) {
        uint64_t deadline = clock_deadline(timeout_usec);

        for (unsigned stale = 0;;) {
                int fd = directory_lock_now(dir_fd, name, create, operation);
                if (fd == -ESTALE && stale++ < STALE_MAX)
                        continue;
                if (fd != -EBUSY || clock_now_usec() >= deadline)
                        return fd;
                clock_sleep_usec(POLL_USEC);
        }
}
