/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Moves files into and out of the container for the command `exec`: sources, caches, artifacts. Called by main.c for a step
 * that executes the agent's program. It never follows a symlink out of its directory. */

#include "agent/bundle.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/index.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/macro.h"
#include "base/string.h"
#include "wire/bundle.h"

#define DEPTH_MAX 200U
#define INDEX ".git/index"
#define INDEX_BYTES_MAX (UINT64_C(256) * 1024 * 1024)

static int fail(int error, const char *path) {
        fprintf(stderr, "%s: %s\n", path, strerror(error < 0 ? -error : error));
        return EXIT_FAILURE;
}

static int open_beneath(int dir_fd, const char *path, int flags, mode_t mode) {
        const struct open_how how = { .flags = (uint64_t) flags | O_CLOEXEC,
                                      .mode = mode,
                                      .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };

        int fd = (int) syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
        return fd < 0 ? -errno : fd;
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
                        return -ENOENT;
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
        struct dirent *child;

        while (dir && (child = directory_next(dir))) {
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
        return 0;
}

static int list_at(BundleWriter *writer, int dir_fd, const char *name, BundleEntry *entry, unsigned depth) {
        struct stat st;

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || describe(dir_fd, name, &st, false, entry) < 0)
                return 0;
        int r = bundle_put(writer, entry);
        if (r < 0 || !S_ISDIR(st.st_mode))
                return r;
        int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? 0 : list_directory(writer, fd, entry, depth);
}

/* The directory that @path is in. */
static int open_parent(int root_fd, const char *path) {
        char parent[BUNDLE_PATH_MAX + 1];
        const char *slash = strrchr(path, '/');

        if (!slash)
                return fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
        memcpy(parent, path, (size_t) (slash - path));
        parent[slash - path] = 0;
        return open_beneath(root_fd, parent, O_RDONLY | O_DIRECTORY, 0);
}

static const char *last_part(const char *path) {
        const char *slash = strrchr(path, '/');
        return slash ? slash + 1 : path;
}

static int list_path(BundleWriter *writer, int root_fd, const char *path, BundleEntry *entry) {
        if (!bundle_path_is_plain(path))
                return 0;
        _cleanup_close_ int parent_fd = open_parent(root_fd, path);
        if (parent_fd < 0)
                return 0;
        strcpy(entry->path, path);
        return list_at(writer, parent_fd, last_part(path), entry, 0);
}

static int list_all(BundleWriter *writer, int root_fd, BundleEntry *entry) {
        int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
        return fd < 0 ? -errno : list_directory(writer, fd, entry, 0);
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
        return r < 0 ? fail(r, directory) : EXIT_SUCCESS;
}

static int pack_one(BundleWriter *writer, int root_fd, const char *path, BundleEntry *entry) {
        struct stat st;

        if (!bundle_path_is_plain(path))
                return -EBADMSG;
        _cleanup_close_ int parent_fd = open_parent(root_fd, path);
        if (parent_fd < 0 || fstatat(parent_fd, last_part(path), &st, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        _cleanup_close_ int fd = -EBADF;
        if (S_ISREG(st.st_mode)) {
                fd = openat(parent_fd, last_part(path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
                if (fd < 0) {
                        (void) fail(errno, path);
                        return 0;
                }
                if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                        return 0;
        }
        strcpy(entry->path, path);
        if (describe(parent_fd, last_part(path), &st, true, entry) < 0)
                return 0;
        int r = bundle_put(writer, entry);
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
        while (getdelim(&line, &allocated, 0, stdin) > 0) {
                r = pack_one(&writer, root_fd, line, &entry);
                if (r < 0)
                        return r;
        }
        return bundle_finish(&writer);
}

int agent_pack(const char *directory) {
        int r = pack(directory);
        return r < 0 ? fail(r, directory) : EXIT_SUCCESS;
}

/* The directory where files are being made stays open: the next file is likely to go there, too. */
typedef struct Unpacking {
        int root_fd, parent_fd;
        char parent[BUNDLE_PATH_MAX + 1];
        BundleReader reader;
        BundleEntry entry;
        mode_t umask; /* what the caller has; ours is 0, so that files get the mode that they had */
        GitIndex index;
        bool unsure; /* nobody has found out which files are as the index says */
} Unpacking;

/* Unless it is there. */
static int make_directory(int root_fd, const char *path, mode_t mode) {
        _cleanup_close_ int fd = open_beneath(root_fd, path, O_PATH | O_DIRECTORY, 0);
        if (fd != -ENOENT)
                return MIN(fd, 0);
        _cleanup_close_ int parent_fd = open_parent(root_fd, path);
        if (parent_fd < 0)
                return parent_fd;
        return mkdirat(parent_fd, last_part(path), mode) < 0 && errno != EEXIST ? -errno : 0;
}

static int make_directories(int root_fd, char *path, mode_t mode) {
        for (char *slash = strchr(path, '/');; slash = strchr(slash + 1, '/')) {
                if (slash)
                        *slash = 0;
                int r = make_directory(root_fd, path, mode);
                if (slash)
                        *slash = '/';
                if (r < 0 || !slash)
                        return r;
        }
}

static int enter_parent(Unpacking *u, const char *path) {
        const char *slash = strrchr(path, '/');
        size_t n = slash ? (size_t) (slash - path) : 0;

        if (u->parent_fd >= 0 && strlen(u->parent) == n && strncmp(u->parent, path, n) == 0)
                return 0;
        closep(&u->parent_fd);
        memcpy(u->parent, path, n);
        u->parent[n] = 0;
        u->parent_fd = open_parent(u->root_fd, path);
        if (u->parent_fd == -ENOENT) {
                int r = make_directories(u->root_fd, u->parent, 0777 & ~u->umask);
                if (r < 0)
                        return r;
                u->parent_fd = open_parent(u->root_fd, path);
        }
        return u->parent_fd < 0 ? u->parent_fd : 0;
}

static void note(Unpacking *u, const struct stat *st) {
        if (u->index.n > 0 && u->entry.clean)
                (void) index_note(&u->index, u->entry.path, st);
}

static int write_content(Unpacking *u, int fd) {
        const void *data;
        size_t size;

        do {
                int r = bundle_read(&u->reader, &data, &size);
                if (r < 0)
                        return r;
                r = size > 0 ? fd_write_all(fd, data, size) : 0;
                if (r < 0)
                        return r;
        } while (size > 0);
        return 0;
}

static int unpack_file(Unpacking *u, const char *name) {
        const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_sec = u->entry.mtime_sec } };
        const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
        mode_t mode = u->entry.mode & 0777;
        struct stat st;

        _cleanup_close_ int fd = openat(u->parent_fd, name, flags, mode);
        if (fd < 0 && errno == EEXIST && unlinkat(u->parent_fd, name, 0) >= 0)
                fd = openat(u->parent_fd, name, flags, mode);
        if (fd < 0)
                return -errno;
        int r = write_content(u, fd);
        if (r < 0)
                return r;
        if (u->entry.mtime_sec > 0)
                (void) futimens(fd, times);
        if (fstat(fd, &st) < 0)
                return -errno;
        /* An ACL of the directory may have changed it. */
        if ((st.st_mode & 0777) != mode && (fchmod(fd, mode) < 0 || fstat(fd, &st) < 0))
                return -errno;
        note(u, &st);
        return 0;
}

static int unpack_symlink(Unpacking *u, const char *name) {
        const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_sec = u->entry.mtime_sec } };
        struct stat st;

        if (symlinkat(u->entry.link, u->parent_fd, name) < 0 &&
            (errno != EEXIST || unlinkat(u->parent_fd, name, 0) < 0 ||
             symlinkat(u->entry.link, u->parent_fd, name) < 0))
                return -errno;
        if (u->entry.mtime_sec > 0)
                (void) utimensat(u->parent_fd, name, times, AT_SYMLINK_NOFOLLOW);
        if (fstatat(u->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        note(u, &st);
        return 0;
}

/* Kept in memory until all other files are there. */
static int unpack_index(Unpacking *u) {
        size_t n = 0, size;
        const void *data;

        index_done(&u->index);
        unsigned char *whole = malloc(u->entry.size + 1);
        if (!whole)
                return -ENOMEM;
        for (;;) {
                int r = bundle_read(&u->reader, &data, &size);
                if (r < 0 || size == 0) {
                        if (r >= 0)
                                break;
                        free(whole);
                        return r;
                }
                memcpy(whole + n, data, size);
                n += size;
        }
        int r = index_init(&u->index, whole, n);
        u->unsure = r < 0 || !u->entry.clean;
        return r == -EBADMSG ? 0 : r;
}

static int unpack_one(Unpacking *u) {
        if (u->entry.type == BUNDLE_FILE && streq(u->entry.path, INDEX) && u->entry.size <= INDEX_BYTES_MAX)
                return unpack_index(u);
        int r = enter_parent(u, u->entry.path);
        if (r < 0)
                return r;
        const char *name = last_part(u->entry.path);
        switch (u->entry.type) {
        case BUNDLE_DIRECTORY:
                return mkdirat(u->parent_fd, name, ((u->entry.mode & 0777) | 0700) & ~u->umask) < 0 && errno != EEXIST ?
                               -errno :
                               0;
        case BUNDLE_SYMLINK:
                return unpack_symlink(u, name);
        default:
                return unpack_file(u, name);
        }
}

static int write_index(Unpacking *u) {
        index_finish(&u->index);
        int r = enter_parent(u, INDEX);
        if (r < 0)
                return r;
        const char *name = last_part(INDEX);
        if (unlinkat(u->parent_fd, name, 0) < 0 && errno != ENOENT)
                return -errno;
        _cleanup_close_ int fd = openat(u->parent_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        return fd < 0 ? -errno : fd_write_all(fd, u->index.data, u->index.size);
}

/* An index that knows nothing of files makes commands that trust it (`git diff-index`) take every file for a changed one. The
 * image's git compares them; without git, nobody asks. */
static void refresh_index(const char *directory, mode_t mask) {
        int status;

        pid_t pid = fork();
        if (pid > 0)
                (void) waitpid(pid, &status, 0);
        if (pid != 0)
                return;
        (void) umask(mask);
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                (void) dup2(null_fd, fd);
        (void) execvp("git", ARGV("git", "-C", directory, "update-index", "-q", "--refresh"));
        _exit(EXIT_FAILURE);
}

/* All that can be made is made; what cannot is told, and the exit status says so. */
static int unpack(Unpacking *u, const char *directory, int *ret_status) {
        int status = EXIT_SUCCESS;

        int r = bundle_reader_init(&u->reader, STDIN_FILENO);
        if (r < 0)
                return r;
        while ((r = bundle_next(&u->reader, &u->entry)) > 0) {
                int q = unpack_one(u);
                if (q < 0)
                        status = fail(q, u->entry.path);
        }
        if (r < 0)
                return r;
        if (u->index.data) {
                int q = write_index(u);
                if (q < 0)
                        status = fail(q, INDEX);
                else if (u->unsure)
                        refresh_index(directory, u->umask);
        }
        *ret_status = status;
        return 0;
}

int agent_unpack(const char *directory) {
        static Unpacking u = { .root_fd = -EBADF, .parent_fd = -EBADF };
        int status;

        int r = mkdir_parents(directory, 0777);
        if (r < 0)
                return fail(r, directory);
        u.root_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (u.root_fd < 0)
                return fail(errno, directory);
        u.umask = umask(0);
        r = unpack(&u, directory, &status);
        bundle_reader_done(&u.reader);
        index_done(&u.index);
        return r < 0 ? fail(r, directory) : status;
}
