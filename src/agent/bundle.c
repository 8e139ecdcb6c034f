/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Moves files out of the container for the command `exec`: caches, artifacts. Called by main.c for a step that executes the
 * agent's program. It never follows a symlink out of its directory. */

#include "agent/bundle.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/beneath.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/macro.h"
#include "base/string.h"
#include "wire/bundle.h"

#define DEPTH_MAX 200U

/* What an error @r for a file means: 0, the file is left out, as it is not there, or not for us to read, or its path leads out
 * of the directory. Another one says nothing about the file, and must not leave it out. */
static int unless_left_out(int r) {
        switch (r) {
        case -ENOENT:
        case -ENOTDIR:
        case -ENAMETOOLONG:
        case -ELOOP:
        case -EXDEV:
        case -EACCES:
                return 0;
        default:
                return r;
        }
}

static int describe(int dir_fd, const char *name, const struct stat *st, bool content, BundleEntry *entry) {
        entry->mode = st->st_mode & 07777;
        entry->size = (uint64_t) st->st_size;
        entry->mtime_sec = st->st_mtime;
        if (S_ISDIR(st->st_mode))
                entry->type = BUNDLE_DIRECTORY;
        else if (S_ISREG(st->st_mode))
                entry->type = content ? BUNDLE_FILE : BUNDLE_LISTED;
        else if (S_ISLNK(st->st_mode)) {
                ssize_t n = readlinkat(dir_fd, name, entry->link, BUNDLE_PATH_MAX);

                if (n <= 0)
                        return n < 0 ? -errno : -ENOENT;
                entry->link[n] = 0;
                entry->type = BUNDLE_SYMLINK;
        } else
                return -ENOENT;
        return 0;
}

static int list_at(BundleWriter *writer, int dir_fd, const char *name, BundleEntry *entry, unsigned depth);

/* Lists directory @fd, whose path is in @entry. */
static int list_directory(BundleWriter *writer, int fd, BundleEntry *entry, unsigned depth) {
        _cleanup_closedir_ DIR *dir = directory_stream(fd);
        size_t n = strlen(entry->path);

        if (!dir)
                return -errno;
        for (;;) {
                struct dirent *child = directory_next(dir);
                if (!child)
                        return -errno;
                size_t size = strlen(child->d_name);

                if (n + size + 1 > BUNDLE_PATH_MAX || depth >= DEPTH_MAX)
                        continue;
                if (n > 0)
                        entry->path[n] = '/';
                memcpy(entry->path + n + (n > 0), child->d_name, size + 1);
                int r = list_at(writer, dirfd(dir), child->d_name, entry, depth + 1);
                entry->path[n] = 0;
                if (r < 0)
                        return r;
        }
}

static int list_at(BundleWriter *writer, int dir_fd, const char *name, BundleEntry *entry, unsigned depth) {
        struct stat st;

        int r = fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno :
                                                                      describe(dir_fd, name, &st, false, entry);
        if (r < 0)
                return unless_left_out(r);
        r = bundle_put(writer, entry);
        if (r < 0 || !S_ISDIR(st.st_mode))
                return r;
        int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? unless_left_out(-errno) : list_directory(writer, fd, entry, depth);
}

static int list_path(BundleWriter *writer, int root_fd, const char *path, BundleEntry *entry) {
        if (!bundle_path_is_plain(path))
                return 0;
        _cleanup_close_ int parent_fd = open_parent_beneath(root_fd, path);
        if (parent_fd < 0)
                return unless_left_out(parent_fd);
        strcpy(entry->path, path);
        return list_at(writer, parent_fd, last_part(path), entry, 0);
}

static int list_all(BundleWriter *writer, int root_fd, BundleEntry *entry) {
        int fd = fd_duplicate(root_fd);
        return fd < 0 ? fd : list_directory(writer, fd, entry, 0);
}

static int list_paths(BundleWriter *writer, int root_fd, char *const *paths, BundleEntry *entry) {
        for (; *paths; paths++) {
                int r = list_path(writer, root_fd, *paths, entry);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* In a directory that is not there, there is nothing. */
static int list(const char *directory, char *const *paths) {
        _cleanup_bundle_writer_ BundleWriter writer = { 0 };
        static BundleEntry entry;

        int r = bundle_writer_init(&writer, STDOUT_FILENO);
        if (r < 0)
                return r;
        _cleanup_close_ int root_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0 && errno != ENOENT)
                return -errno;
        if (root_fd >= 0) {
                r = *paths ? list_paths(&writer, root_fd, paths, &entry) : list_all(&writer, root_fd, &entry);
                if (r < 0)
                        return r;
        }
        return bundle_finish(&writer);
}

int agent_list(const char *directory, char *const *paths) {
        int r = list(directory, paths);
        return r < 0 ? path_failed(r, directory) : EXIT_SUCCESS;
}

static int pack_one(BundleWriter *writer, int root_fd, const char *path, BundleEntry *entry) {
        struct stat st;

        if (!bundle_path_is_plain(path))
                return -EBADMSG;
        _cleanup_close_ int parent_fd = open_parent_beneath(root_fd, path);
        if (parent_fd < 0)
                return unless_left_out(parent_fd);
        if (fstatat(parent_fd, last_part(path), &st, AT_SYMLINK_NOFOLLOW) < 0)
                return unless_left_out(-errno);
        _cleanup_close_ int fd = -EBADF;
        if (S_ISREG(st.st_mode)) {
                fd = openat(parent_fd, last_part(path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
                if (fd < 0) {
                        int r = -errno;
                        (void) path_failed(r, path);
                        return unless_left_out(r);
                }
                if (fstat(fd, &st) < 0)
                        return -errno;
                if (!S_ISREG(st.st_mode))
                        return 0;
        }
        strcpy(entry->path, path);
        int r = describe(parent_fd, last_part(path), &st, true, entry);
        if (r < 0)
                return unless_left_out(r);
        r = bundle_put(writer, entry);
        return r < 0 || fd < 0 ? r : bundle_put_file(writer, fd, entry->size);
}

static int pack(const char *directory) {
        _cleanup_bundle_writer_ BundleWriter writer = { 0 };
        _cleanup_free_ char *line = NULL;
        static BundleEntry entry;
        size_t allocated = 0;

        int r = bundle_writer_init(&writer, STDOUT_FILENO);
        if (r < 0)
                return r;
        _cleanup_close_ int root_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return -errno;
        for (;;) {
                if (getdelim(&line, &allocated, 0, stdin) < 0) {
                        if (!feof(stdin))
                                return -errno;
                        break;
                }
                r = pack_one(&writer, root_fd, line, &entry);
                if (r < 0)
                        return r;
        }
        return bundle_finish(&writer);
}

int agent_pack(const char *directory) {
        int r = pack(directory);
        return r < 0 ? path_failed(r, directory) : EXIT_SUCCESS;
}
