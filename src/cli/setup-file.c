/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads and replaces GitLab Runner's config.toml for `setup`. It holds tokens: no copy of it may be readable by more
 * people than the file itself, at no time, and none may stay behind. */

#include "cli/setup-file.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/lock.h"
#include "base/string.h"

#define FILE_MAX_BYTES (4 * 1024 * 1024)

static void forget(char *text) {
        if (text)
                explicit_bzero(text, strlen(text));
        free(text);
}

void setup_file_done(SetupFile *file) {
        closep(&file->directory_fd);
        free(file->name);
        forget(file->text);
}

static int read_text(int directory_fd, const char *name, char **ret_text, struct stat *ret_stat) {
        size_t size;

        _cleanup_close_ int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        if (fstat(fd, ret_stat) < 0)
                return -errno;
        int r = file_check_regular(fd);
        if (r < 0)
                return r;
        r = fd_read_all(fd, FILE_MAX_BYTES, ret_text, &size);
        if (r < 0)
                return r;
        if (strlen(*ret_text) == size)
                return 0;
        explicit_bzero(*ret_text, size);
        free(TAKE_PTR(*ret_text));
        return -EBADMSG;
}

/* The directory and name of the file itself, with symlinks resolved. */
static int split_path(const char *path, char **ret_directory, char **ret_name) {
        _cleanup_free_ char *whole = realpath(path, NULL), *copy = NULL, *directory = NULL, *name = NULL;

        if (!whole && errno != ENOENT)
                return -errno;
        const char *chosen = whole ? whole : path;
        copy = strdup(chosen);
        directory = copy ? strdup(dirname(copy)) : NULL;
        const char *slash = strrchr(chosen, '/');
        name = strdup(slash ? slash + 1 : chosen);
        if (!directory || !name)
                return -ENOMEM;
        if (isempty(name))
                return -EISDIR;
        *ret_directory = TAKE_PTR(directory);
        *ret_name = TAKE_PTR(name);
        return 0;
}

int setup_file_open(const char *path, SetupFile *ret) {
        _cleanup_setup_file_ SetupFile file = SETUP_FILE_NONE;
        _cleanup_free_ char *directory = NULL;
        struct stat st = { .st_mode = 0600 };

        int r = split_path(path, &directory, &file.name);
        if (r < 0)
                return r;
        file.directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (file.directory_fd < 0)
                return -errno;
        r = lock_wait(file.directory_fd, LOCK_EX, USEC_INFINITY);
        if (r < 0)
                return r;
        r = read_text(file.directory_fd, file.name, &file.text, &st);
        file.exists = r >= 0;
        if (r == -ENOENT)
                r = string_replace(&file.text, "");
        if (r < 0)
                return r;
        file.mode = st.st_mode & 07777;
        file.uid = st.st_uid;
        file.gid = st.st_gid;
        *ret = file;
        file = SETUP_FILE_NONE;
        return 0;
}

/* Was the file left alone since it was read? GitLab Runner writes it, too, and does not use our lock. */
static int check_unchanged(const SetupFile *file) {
        char *text = NULL;
        struct stat st;

        int r = read_text(file->directory_fd, file->name, &text, &st);
        if (r == -ENOENT && !file->exists)
                return 0;
        if (r < 0)
                return r == -ENOENT ? -ESTALE : r;
        r = file->exists && streq(text, file->text) ? 0 : -ESTALE;
        forget(text);
        return r;
}

static int write_new(const SetupFile *file, const char *temporary, const char *text) {
        _cleanup_close_ int fd = openat(file->directory_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        if (fd < 0)
                return -errno;
        if (fchown(fd, file->uid, file->gid) < 0 || fchmod(fd, file->mode) < 0)
                return -errno;
        int r = fd_write_all(fd, text, strlen(text));
        if (r < 0)
                return r;
        return fsync(fd) < 0 ? -errno : 0;
}

static int write_and_rename(const SetupFile *file, const char *temporary, const char *text) {
        int r = write_new(file, temporary, text);
        if (r < 0)
                return r;
        r = check_unchanged(file);
        if (r < 0)
                return r;
        return renameat(file->directory_fd, temporary, file->directory_fd, file->name) < 0 ? -errno : 0;
}

int setup_file_replace(const SetupFile *file, const char *text) {
        _cleanup_free_ char *temporary = NULL;

        if (string_printf(&temporary, ".%s.nspawn-runner", file->name) < 0)
                return -ENOMEM;
        /* A leftover of a killed process: nobody else works while we have the lock. */
        if (unlinkat(file->directory_fd, temporary, 0) < 0 && errno != ENOENT)
                return -errno;
        int r = write_and_rename(file, temporary, text);
        if (r < 0) {
                (void) unlinkat(file->directory_fd, temporary, 0);
                return r;
        }
        return fsync(file->directory_fd) < 0 ? -errno : 0;
}
