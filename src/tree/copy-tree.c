/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Copies a whole tree with several threads: for the copy of an image that is then changed (image/staging.c), for a
 * job's layer on btrfs where the image is no subvolume, and for directories that chroot-run copies into its container.
 * The source is not trusted: this must follow no symlink, enter no mount, and open no device or pipe. */

#include "tree/copy-tree.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "tree/copy-content.h"
#include "tree/inode-table.h"

#define THREADS_MAX 8U
/* The limit of every file system for values and for lists of names (xattr(7)). */
#define ATTRIBUTE_BYTES_MAX ((size_t) 65536)

/* A directory that exists in the target and is still empty. Kept as a path and not as a descriptor, because there may
 * be any number. */
typedef struct Directory {
        struct Directory *next;
        char path[]; /* below the top; "" is the top */
} Directory;

typedef struct Copy {
        int source_fd, target_fd, cancel_fd;
        const char *const *skip_attributes;

        pthread_mutex_t mutex;
        pthread_cond_t changed;
        Directory *todo; /* a stack: deep directories are done first, so it stays short */
        unsigned busy;   /* threads that may add to it */
        int result;      /* the first error */

        pthread_mutex_t links_mutex;
        InodeTable links; /* with the path, below the top, of the first name that we met */
} Copy;

/* What each thread has of its own. */
typedef struct Worker {
        Copy *copy;
        ContentCopy content;
        char *names, *value;
} Worker;

/* Opens @path, of any length, below @top_fd. Follows no symlink; -EXDEV: something is mounted on the way. */
static int open_below(int top_fd, const char *path, int flags) {
        char part[PATH_MAX];
        int fd = top_fd;

        if (!*path)
                path = ".";
        for (;;) {
                size_t n = strlen(path);

                if (n >= sizeof(part))
                        for (n = sizeof(part) - 1; path[n] != '/';)
                                n--; /* a name is much shorter */
                memcpy(part, path, n);
                part[n] = 0;
                path += n;
                int r = open_resolving(fd, part, *path ? O_PATH | O_DIRECTORY : flags,
                                       RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_BENEATH);
                if (fd != top_fd)
                        close(fd);
                if (r < 0 || !*path)
                        return r;
                fd = r;
                path++;
        }
}

/* Opens a file without changing its time of last access; only its owner or root may ask for that. */
static int open_source(int dir_fd, const char *name, int flags) {
        int fd = openat(dir_fd, name, flags | O_NOATIME | O_CLOEXEC);

        if (fd < 0 && errno == EPERM)
                fd = openat(dir_fd, name, flags | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static bool is_stopped(void *userdata) {
        Copy *copy = userdata;
        struct pollfd pollfd = { .fd = copy->cancel_fd, .events = POLLIN };
        bool cancelled = copy->cancel_fd >= 0 && poll(&pollfd, 1, 0) > 0;

        pthread_mutex_lock(&copy->mutex);
        if (cancelled && copy->result == 0)
                copy->result = -ECANCELED;
        bool stopped = copy->result < 0;
        pthread_mutex_unlock(&copy->mutex);
        return stopped;
}

/* Attributes */

static bool is_skipped(const Worker *worker, const char *name, bool top) {
        for (const char *const *skip = top ? worker->copy->skip_attributes : NULL; skip && *skip; skip++)
                if (streq(*skip, name))
                        return true;
        return false;
}

/* Copies extended attributes. Both paths are below /proc/self/fd, so symlinks and limits of paths do not matter. A
 * symlink at their end is not followed unless @follow: the paths of open files are symlinks to the files. */
static int copy_attributes(const Worker *worker, const char *source, const char *target, bool follow, bool top) {
        ssize_t n = follow ? listxattr(source, worker->names, ATTRIBUTE_BYTES_MAX) :
                             llistxattr(source, worker->names, ATTRIBUTE_BYTES_MAX);

        if (n < 0)
                return errno == EOPNOTSUPP ? 0 : -errno;
        for (const char *name = worker->names; name < worker->names + n; name += strlen(name) + 1) {
                if (is_skipped(worker, name, top))
                        continue;
                ssize_t size = follow ? getxattr(source, name, worker->value, ATTRIBUTE_BYTES_MAX) :
                                        lgetxattr(source, name, worker->value, ATTRIBUTE_BYTES_MAX);
                if (size < 0)
                        return -errno;
                if ((follow ? setxattr(target, name, worker->value, (size_t) size, 0) :
                              lsetxattr(target, name, worker->value, (size_t) size, 0)) >= 0)
                        continue;
                /* Without a policy, SELinux shows labels but they cannot be set. */
                if (errno != EOPNOTSUPP || !streq(name, "security.selinux"))
                        return -errno;
        }
        return 0;
}

/* Copies everything about a file but its content. The order matters: a new owner takes capabilities and the set-user-ID
 * bit away. */
static int finish_file(const Worker *worker, int source_fd, int target_fd, const struct stat *st, bool top) {
        char source[64], target[64];

        if (fchown(target_fd, st->st_uid, st->st_gid) < 0)
                return -errno;
        snprintf(source, sizeof(source), "/proc/self/fd/%d", source_fd);
        snprintf(target, sizeof(target), "/proc/self/fd/%d", target_fd);
        int r = copy_attributes(worker, source, target, true, top);
        if (r < 0)
                return r;
        if (fchmod(target_fd, st->st_mode & 07777) < 0 ||
            futimens(target_fd, (struct timespec[2]){ st->st_atim, st->st_mtim }) < 0)
                return -errno;
        return 0;
}

/* The same for files that must not be opened. */
static int finish_special(const Worker *worker, int source_fd, int target_fd, const char *name, const struct stat *st) {
        char source[64 + NAME_MAX], target[64 + NAME_MAX];

        if (fchownat(target_fd, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        snprintf(source, sizeof(source), "/proc/self/fd/%d/%s", source_fd, name);
        snprintf(target, sizeof(target), "/proc/self/fd/%d/%s", target_fd, name);
        int r = copy_attributes(worker, source, target, false, false);
        if (r < 0)
                return r;
        /* A symlink has no mode. The others are no symlinks, because we made them. */
        if (!S_ISLNK(st->st_mode) && fchmodat(target_fd, name, st->st_mode & 07777, 0) < 0)
                return -errno;
        if (utimensat(target_fd, name, (struct timespec[2]){ st->st_atim, st->st_mtim }, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return 0;
}

/* Hard links */

static char *join(const char *directory, const char *name, size_t header) {
        size_t n = strlen(directory), m = strlen(name);
        char *p = malloc(header + n + 1 + m + 1);

        if (!p)
                return NULL;
        if (n > 0) {
                memcpy(p + header, directory, n);
                p[header + n++] = '/';
        }
        memcpy(p + header + n, name, m + 1);
        return p;
}

static int links_add(Copy *copy, const struct stat *st, const char *directory, const char *name) {
        _cleanup_free_ char *path = join(directory, name, 0);

        return path ? inode_table_add(&copy->links, st, path) : -ENOMEM;
}

static int make_link(Copy *copy, const char *existing, int target_fd, const char *name) {
        _cleanup_free_ char *directory = strdup(existing);
        if (!directory)
                return -ENOMEM;
        char *slash = strrchr(directory, '/');
        const char *base = slash ? existing + (slash - directory) + 1 : existing;
        *(slash ? slash : directory) = 0;
        _cleanup_close_ int fd = open_below(copy->target_fd, directory, O_PATH | O_DIRECTORY);
        if (fd < 0)
                return fd;
        return linkat(fd, base, target_fd, name, 0) < 0 ? -errno : 0;
}

/* Entries */

/* Makes the new file. Returns a descriptor for a regular file, 0 for others, or -errno. */
static int make_entry(int source_fd, int target_fd, const char *name, const struct stat *st) {
        if (S_ISREG(st->st_mode)) {
                int fd = openat(target_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
                return fd < 0 ? -errno : fd;
        }
        if (!S_ISLNK(st->st_mode))
                return mknodat(target_fd, name, (st->st_mode & S_IFMT) | 0600, st->st_rdev) < 0 ? -errno : 0;

        char text[PATH_MAX + 1];
        ssize_t n = readlinkat(source_fd, name, text, sizeof(text) - 1);
        if (n < 0)
                return -errno;
        text[n] = 0;
        return symlinkat(text, target_fd, name) < 0 ? -errno : 0;
}

/* As make_entry(), but if one of the file's other names is already in the target, makes another link to it and sets
 * *ret_done. The thread that meets a file first makes it; the content may come later. */
static int make_entry_or_link(Worker *worker, const char *path, int source_fd, int target_fd, const char *name,
                              const struct stat *st, bool *ret_done) {
        Copy *copy = worker->copy;

        if (st->st_nlink < 2)
                return make_entry(source_fd, target_fd, name, st);
        pthread_mutex_lock(&copy->links_mutex);
        const char *existing = inode_table_find(&copy->links, st);
        int fd = existing ? 0 : make_entry(source_fd, target_fd, name, st);
        int r = existing || fd < 0 ? 0 : links_add(copy, st, path, name);
        pthread_mutex_unlock(&copy->links_mutex);

        if (r < 0) {
                if (fd > 0)
                        close(fd);
                return r;
        }
        if (!existing)
                return fd;
        *ret_done = true;
        return make_link(copy, existing, target_fd, name);
}

static int copy_file(Worker *worker, const char *path, int source_fd, int target_fd, const char *name,
                     const struct stat *st) {
        bool done = false;

        int r = make_entry_or_link(worker, path, source_fd, target_fd, name, st, &done);
        if (r < 0 || done)
                return r;
        if (!S_ISREG(st->st_mode))
                return finish_special(worker, source_fd, target_fd, name, st);

        _cleanup_close_ int to_fd = r;
        _cleanup_close_ int from_fd = open_source(source_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (from_fd < 0)
                return from_fd;
        r = content_copy(&worker->content, from_fd, to_fd, st);
        if (r == CONTENT_SHORTER)
                return -EIO; /* nobody may change what is copied here */
        return r < 0 ? r : finish_file(worker, from_fd, to_fd, st, false);
}

static int add_directory(Copy *copy, const char *path, int target_fd, const char *name) {
        if (mkdirat(target_fd, name, 0700) < 0)
                return -errno;
        Directory *directory = (Directory *) (void *) join(path, name, offsetof(Directory, path));
        if (!directory)
                return -ENOMEM;
        pthread_mutex_lock(&copy->mutex);
        directory->next = copy->todo;
        copy->todo = directory;
        pthread_cond_signal(&copy->changed);
        pthread_mutex_unlock(&copy->mutex);
        return 0;
}

static int copy_entries(Worker *worker, const char *path, int source_fd, int target_fd) {
        int dir_fd = open_source(source_fd, ".", O_RDONLY | O_DIRECTORY);
        if (dir_fd < 0)
                return dir_fd;
        _cleanup_closedir_ DIR *dir = directory_stream(dir_fd);
        if (!dir)
                return -errno;

        while (!is_stopped(worker->copy)) {
                struct stat st;

                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                if (fstatat(source_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        return -errno;
                int r = S_ISDIR(st.st_mode) ? add_directory(worker->copy, path, target_fd, entry->d_name) :
                                              copy_file(worker, path, source_fd, target_fd, entry->d_name, &st);
                if (r < 0)
                        return r;
        }
        return -ECANCELED;
}

/* Gets the state of a directory that is hidden by a mount on @path: it can only be seen through the parent's mount. */
static int stat_mount_point(int top_fd, const char *path, struct stat *ret) {
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *parent = strndup(path, slash ? (size_t) (slash - path) : 0);
        if (!parent)
                return -ENOMEM;
        _cleanup_close_ int fd = open_below(top_fd, parent, O_PATH | O_DIRECTORY);
        if (fd < 0)
                return fd;
        return fstatat(fd, slash ? slash + 1 : path, ret, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int copy_directory(Worker *worker, const char *path) {
        Copy *copy = worker->copy;
        struct stat st;

        _cleanup_close_ int target_fd = open_below(copy->target_fd, path, O_RDONLY | O_DIRECTORY);
        if (target_fd < 0)
                return target_fd;
        _cleanup_close_ int source_fd = open_below(copy->source_fd, path, O_RDONLY | O_DIRECTORY);
        if (source_fd == -EXDEV) {
                int r = stat_mount_point(copy->source_fd, path, &st);
                if (r < 0)
                        return r;
                return fchown(target_fd, st.st_uid, st.st_gid) < 0 || fchmod(target_fd, st.st_mode & 07777) < 0 ?
                               -errno :
                               0;
        }
        if (source_fd < 0)
                return source_fd;
        if (fstat(source_fd, &st) < 0)
                return -errno;

        /* The directory's own attributes come last: new entries would change its time, and inherit a default access
         * list. */
        int r = copy_entries(worker, path, source_fd, target_fd);
        return r < 0 ? r : finish_file(worker, source_fd, target_fd, &st, !*path);
}

static int worker_init(Worker *worker, Copy *copy) {
        *worker = (Worker){
                .copy = copy,
                .content = { .is_stopped = is_stopped, .userdata = copy },
                .names = malloc(ATTRIBUTE_BYTES_MAX),
                .value = malloc(ATTRIBUTE_BYTES_MAX),
        };
        return worker->names && worker->value ? content_copy_init(&worker->content) : -ENOMEM;
}

static void *work(void *userdata) {
        Copy *copy = userdata;
        Worker worker;
        int r = worker_init(&worker, copy);

        pthread_mutex_lock(&copy->mutex);
        for (;;) {
                if (r < 0 && copy->result == 0)
                        copy->result = r;
                if (copy->result < 0)
                        break;
                if (!copy->todo) {
                        if (copy->busy == 0)
                                break;
                        pthread_cond_wait(&copy->changed, &copy->mutex);
                        continue;
                }
                Directory *directory = copy->todo;
                copy->todo = directory->next;
                copy->busy++;
                pthread_mutex_unlock(&copy->mutex);
                r = copy_directory(&worker, directory->path);
                free(directory);
                pthread_mutex_lock(&copy->mutex);
                copy->busy--;
        }
        /* All work is done, or was given up: wake the other threads, so that they end, too. */
        pthread_cond_broadcast(&copy->changed);
        pthread_mutex_unlock(&copy->mutex);
        content_copy_done(&worker.content);
        free(worker.names);
        free(worker.value);
        return NULL;
}

int copy_tree(int source_fd, int target_fd, const char *const skip_attributes[], int cancel_fd) {
        Copy copy = {
                .source_fd = source_fd,
                .target_fd = target_fd,
                .cancel_fd = cancel_fd,
                .skip_attributes = skip_attributes,
                .mutex = PTHREAD_MUTEX_INITIALIZER,
                .changed = PTHREAD_COND_INITIALIZER,
                .links_mutex = PTHREAD_MUTEX_INITIALIZER,
        };
        pthread_t threads[THREADS_MAX];
        unsigned n = 0;
        long processors = sysconf(_SC_NPROCESSORS_ONLN);

        /* Removes access lists that the new directory inherited from its parent. */
        (void) fremovexattr(target_fd, "system.posix_acl_default");
        (void) fremovexattr(target_fd, "system.posix_acl_access");

        copy.todo = calloc(1, sizeof(Directory) + 1);
        if (!copy.todo)
                return -ENOMEM;
        /* This thread works, too. Fewer threads than wanted are no error. */
        while (n + 1 < THREADS_MAX && (long) n + 1 < processors && pthread_create(&threads[n], NULL, work, &copy) == 0)
                n++;
        (void) work(&copy);
        while (n > 0)
                (void) pthread_join(threads[--n], NULL);

        for (Directory *directory = copy.todo, *next; directory; directory = next) {
                next = directory->next;
                free(directory);
        }
        inode_table_done(&copy.links);
        pthread_mutex_destroy(&copy.mutex);
        pthread_mutex_destroy(&copy.links_mutex);
        pthread_cond_destroy(&copy.changed);
        return copy.result;
}
