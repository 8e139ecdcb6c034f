/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/macro.h"

struct msghdr;

/* Closes *fd when it is open, and makes it -EBADF; errno is preserved. */
static inline void closep(int *fd) {
        if (*fd >= 0) {
                int saved_errno = errno;
                close(*fd);
                *fd = -EBADF;
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

/* fdopen() that consumes @fd when it fails, too. NULL with errno; a negative @fd leaves it as it is. */
FILE *file_stream(int fd, const char *mode);

/* Writes all of @data, in as many calls as that takes, and waits if the descriptor is non-blocking. 0 or -errno. */
int fd_write_all(int fd, const void *data, size_t size);

/* Reads from the present offset to the end. *ret_data is to be freed; a NUL follows the *ret_size bytes (@ret_size may be
 * NULL). 0; -EFBIG: there are more than @max_bytes; or another -errno. */
int fd_read_all(int fd, size_t max_bytes, char **ret_data, size_t *ret_size);

/* The same for a whole regular file below @dir_fd (AT_FDCWD for plain paths), or /dev/null. It does not follow a symlink at
 * the end of @path (-ELOOP), and never waits. -EISDIR; -ENOTSUP for anything else that is no regular file. */
int file_read_at(int dir_fd, const char *path, size_t max_bytes, char **ret_data, size_t *ret_size);
/* Reads such a file that has one decimal number, with or without a line feed, as in /proc, /sys and cgroups. 0; -EINVAL or
 * -ERANGE as of parse_uint64(); or as file_read_at(). */
int file_read_number_at(int dir_fd, const char *path, uint64_t *ret);
/* Opens a regular file, or /dev/null, for reading; follows symlinks. Never waits, as it would for whoever writes to a pipe
 * in its place. Its descriptor; -EISDIR; -ENOTSUP for anything else that is no regular file; or another -errno. */
int file_open_regular(const char *path);
/* The same for a file that somebody names on the command line: it may also be a pipe without a name, as shells make them for
 * "<(COMMAND)" and for standard input. */
int file_open_given(const char *path);
/* Opens the file of @fd once more, with flags and an offset of its own. @fd may be O_PATH: the caller has looked whether
 * opening can wait or do harm. Adds O_CLOEXEC and O_NOCTTY. The descriptor or -errno. */
int fd_reopen(int fd, int flags);
/* Is @fd a regular file, or /dev/null? 0; -EISDIR; -ENOTSUP; or another -errno. */
int file_check_regular(int fd);
/* What the error @r of one of these means, in words. */
const char *file_error_text(int r);

/* Writes a string to an existing file, as in /proc, /sys and cgroups, with one write(). 0; -EIO: only a part was written; or
 * another -errno. */
int file_write_string_at(int dir_fd, const char *path, const char *value);

/* Replaces @name in @dir_fd by a file with @data. Readers see the old content or all of the new, also after a crash of this
 * process or of the host. It opens nothing that is in the directory. 0, or -errno with the old content and no temporary
 * file. */
int file_replace_at(int dir_fd, const char *name, const void *data, size_t size, mode_t mode);
/* The same for what need not survive a crash of the host, as in /run: the file may be empty then. */
int file_replace_unsynced_at(int dir_fd, const char *name, const void *data, size_t size, mode_t mode);

/* Makes a memfd with @data that nobody can change any more, so that a container may have it. Its descriptor, or -errno. */
int memfd_new_sealed(const char *name, const void *data, size_t size);
/* Reads all of such a file from somebody who may be hostile: it never waits, and nobody changes it meanwhile. *ret_data as
 * with fd_read_all(). 0; -EPERM: it is another kind of file, or not sealed; -EFBIG; or another -errno. */
int memfd_read_sealed(int fd, size_t max_bytes, char **ret_data, size_t *ret_size);

/* Another descriptor of what @fd is one of, close-on-exec and none of the three standard ones. Returns it or -errno. */
int fd_duplicate(int fd);

/* Takes the descriptors that recvmsg() received with the message @header: at most @max of them, in @fds. The kernel fills the
 * buffer to its end, where there may be room for more: those are closed. Returns false if there were too many, or something
 * else than descriptors; *ret_n are the caller's all the same. */
bool fds_take(struct msghdr *header, int *fds, size_t max, size_t *ret_n);

/* Moves @fd to the number @target, which is closed first if it is open, and clears close-on-exec. @fd is consumed. @target
 * or -errno. */
int fd_move_to(int fd, int target);

/* 0 or -errno. */
int fd_set_cloexec(int fd, bool cloexec);
int fd_set_nonblock(int fd, bool nonblock);
