/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes files that have no name yet, or never get one. Called where others must not see half a file, and where
 * temporary files are too large for the memory. It must not depend on what the file system can: homes are often on NFS,
 * which has neither O_TMPFILE nor RENAME_NOREPLACE. */

#include "base/new-file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fd.h"

int random_name(char ret[static RANDOM_NAME_BYTES]) {
        uint64_t random;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return -EIO;
        snprintf(ret, RANDOM_NAME_BYTES, "%016" PRIx64, random);
        return 0;
}

/* A random name: what has it already is not opened. */
static int open_named(int dir_fd, int flags, mode_t mode, char temporary[static sizeof((NewFile){ 0 }.temporary)]) {
        char random[RANDOM_NAME_BYTES];

        int r = random_name(random);
        if (r < 0)
                return r;
        snprintf(temporary, sizeof((NewFile){ 0 }.temporary), ".nspawn-runner-%s.new", random);
        int fd = openat(dir_fd, temporary, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        return fd < 0 ? -errno : fd;
}

int new_file_begin(int dir_fd, mode_t mode, NewFile *ret) {
        NewFile file = { .dir_fd = dir_fd };

        /* The error differs from one file system to the next. What is really wrong fails below, too. */
        file.fd = openat(dir_fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, mode);
        if (file.fd < 0)
                file.fd = open_named(dir_fd, O_WRONLY, mode, file.temporary);
        if (file.fd < 0)
                return file.fd;
        *ret = file;
        return 0;
}

/* Both refuse to replace. Most file systems can only do one of them. */
static int rename_new(NewFile *file, const char *name) {
        if (renameat2(file->dir_fd, file->temporary, file->dir_fd, name, RENAME_NOREPLACE) >= 0) {
                file->temporary[0] = 0;
                return 0;
        }
        if (errno == EEXIST)
                return -EEXIST;
        /* new_file_done() removes the other name. */
        return linkat(file->dir_fd, file->temporary, file->dir_fd, name, 0) < 0 ? -errno : 0;
}

int new_file_end(NewFile *file, const char *name) {
        char path[64];

        if (file->temporary[0])
                return rename_new(file, name);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
        return linkat(AT_FDCWD, path, file->dir_fd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

void new_file_done(NewFile *file) {
        if (file->temporary[0])
                (void) unlinkat(file->dir_fd, file->temporary, 0);
        closep(&file->fd);
        *file = NEW_FILE_NONE;
}

int file_open_unnamed(const char *directory) {
        char temporary[sizeof((NewFile){ 0 }.temporary)];

        int unnamed = open(directory, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
        if (unnamed >= 0)
                return unnamed;
        _cleanup_close_ int dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return -errno;
        _cleanup_close_ int fd = open_named(dir_fd, O_RDWR, 0600, temporary);
        if (fd < 0)
                return fd;
        return unlinkat(dir_fd, temporary, 0) < 0 ? -errno : TAKE_FD(fd);
}

int file_publish_at(int dir_fd, const char *name, const void *data, size_t size, mode_t mode) {
        _cleanup_new_file_ NewFile file = NEW_FILE_NONE;

        int r = new_file_begin(dir_fd, mode, &file);
        if (r < 0)
                return r;
        r = fd_write_all(file.fd, data, size);
        if (r < 0)
                return r;
        r = new_file_end(&file, name);
        return r == -EEXIST ? 0 : r;
}
