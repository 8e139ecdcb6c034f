/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/macro.h"

/* Closes *fd when it is open; errno is preserved. */
static inline void closep(int *fd) {
        if (*fd >= 0) {
                int saved_errno = errno;
                close(*fd);
                errno = saved_errno;
        }
}
#define _cleanup_close_ _cleanup_(closep)

static inline void fclosep(FILE **f) {
        if (*f)
                fclose(*f);
}
#define _cleanup_fclose_ _cleanup_(fclosep)

static inline void closedirp(DIR **d) {
        if (*d)
                closedir(*d);
}
#define _cleanup_closedir_ _cleanup_(closedirp)

/* Writes all of @data, through interruptions and partial writes, and waits where the descriptor is
 * non-blocking: 0 or -errno. */
int fd_write_all(int fd, const void *data, size_t size);

/* Reads from the present offset to the end. @ret_data is to be freed, and NUL-terminated beyond @ret_size (which may
 * be NULL). Returns 0, -EFBIG when there are more than @max_bytes, or -errno. */
int fd_read_all(int fd, size_t max_bytes, char **ret_data, size_t *ret_size);

/* Opens and reads a whole file below @dir_fd (AT_FDCWD for plain paths), without following a symlink at its end
 * (-ELOOP). As fd_read_all(), or another -errno from opening it. */
int file_read_at(int dir_fd, const char *path, size_t max_bytes, char **ret_data, size_t *ret_size);

/* Writes one string to an existing file (as in /proc, /sys, cgroups) in one write(): 0 or -errno
 * (-EIO: only a part was taken). */
int file_write_string_at(int dir_fd, const char *path, const char *value);

/* Replaces @name in @dir_fd with @data so that a reader, also after a crash of this process or of the host, sees the
 * old content or the new, never a part. Nothing that is in the directory is opened. 0, or -errno with the old content
 * and no temporary file. */
int file_replace_at(int dir_fd, const char *name, const void *data, size_t size, mode_t mode);

/* Makes file @name in @dir_fd with @data, whole at once, where several processes may do the same at the same time: the
 * first one's stays. 0 or -errno; leaves no temporary file. */
int file_publish_at(int dir_fd, const char *name, const void *data, size_t size, mode_t mode);

/* A memfd with @data, sealed against every change: safe to hand to a container. Returns the descriptor or -errno. */
int memfd_new_sealed(const char *name, const void *data, size_t size);

/* Makes @fd the descriptor @target (which is closed if open) and clears close-on-exec. @fd is consumed.
 * Returns @target or -errno. */
int fd_move_to(int fd, int target);

/* 0 or -errno. */
int fd_set_cloexec(int fd, bool cloexec);
int fd_set_nonblock(int fd, bool nonblock);
