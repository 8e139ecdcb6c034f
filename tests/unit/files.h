/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "unit.h"

#include <sys/stat.h>

#include "base/fd.h"

/* Files in the directory of a test; what cannot be done ends the test. */

/* The directory that setup_directory() made, for close(). */
static inline int open_directory(void **state) {
        int fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

/* A new file, with this mode whatever the umask is. */
static inline void make_file(int dir_fd, const char *path, const char *content, mode_t mode) {
        _cleanup_close_ int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, content, strlen(content)), 0);
        assert_int_equal(fchmod(fd, mode), 0);
}

static inline bool is_there(int dir_fd, const char *path) {
        return faccessat(dir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) >= 0;
}
