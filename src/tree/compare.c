/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds the files in which two trees differ, for chroot-diff and job-diff, and for chroot-login, which asks whether
 * anything changed. Neither tree is trusted: this must follow no symlink, enter no mount, and open only directories and
 * regular files. */

#include "tree/compare.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"

/* Directories deeper than this are not compared: no real tree is so deep, and each level holds two descriptors. */
#define DEPTH_MAX 200
#define BUFFER_BYTES ((size_t) 64 * 1024)

typedef struct Comparison {
        int (*on_difference)(void *userdata, const Difference *difference);
        void *userdata;
        uint32_t new_owner_base;
        char *old_buffer, *new_buffer;
} Comparison;

/* Lists the names in a directory, sorted; a negative @fd has none. */
static int list_names(int fd, char ***ret) {
        _cleanup_strv_ char **names = NULL;

        int r = fd < 0 ? 0 : directory_names(fd, &names);
        if (r < 0)
                return r;
        strv_sort(names);
        *ret = TAKE_PTR(names);
        return 0;
}

static ssize_t read_full(int fd, char *buffer) {
        size_t n = 0;

        while (n < BUFFER_BYTES) {
                ssize_t r = read(fd, buffer + n, BUFFER_BYTES - n);
                if (r < 0 && errno == EINTR)
                        continue;
                if (r < 0)
                        return -errno;
                if (r == 0)
                        break;
                n += (size_t) r;
        }
        return (ssize_t) n;
}

/* Do two files of the same size differ? 1, 0, or -errno. */
static int content_differs(const Comparison *comparison, int old_fd, int new_fd, const char *name) {
        const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
        _cleanup_close_ int a_fd = openat(old_fd, name, flags);
        _cleanup_close_ int b_fd = openat(new_fd, name, flags);

        if (a_fd < 0 || b_fd < 0)
                return -errno;
        for (;;) {
                ssize_t a = read_full(a_fd, comparison->old_buffer), b = read_full(b_fd, comparison->new_buffer);

                if (a < 0 || b < 0)
                        return (int) MIN(a, b);
                if (a != b || memcmp(comparison->old_buffer, comparison->new_buffer, (size_t) a) != 0)
                        return 1;
                if (a == 0)
                        return 0;
        }
}

static bool same_time(const struct stat *a, const struct stat *b) {
        return a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool same_attributes(const struct stat *a, const struct stat *b) {
        return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
               (S_ISDIR(a->st_mode) || a->st_size == b->st_size) &&
               ((!S_ISCHR(a->st_mode) && !S_ISBLK(a->st_mode)) || a->st_rdev == b->st_rdev);
}

static int read_target(int fd, const char *name, const struct stat *st, char *ret) {
        *ret = 0;
        if (!st || !S_ISLNK(st->st_mode))
                return 0;
        ssize_t n = readlinkat(fd, name, ret, PATH_MAX - 1);
        if (n < 0)
                return errno == EINVAL ? -ENOENT : -errno; /* no symlink any more */
        ret[n] = 0;
        return 0;
}

/* Reports @name, in one of the trees (@old or @new is NULL) or in both, if there is something to report. */
static int compare_entry(const Comparison *comparison, int old_fd, int new_fd, const char *path, const char *name,
                         const struct stat *old, const struct stat *new) {
        char old_target[PATH_MAX], new_target[PATH_MAX];
        Difference difference = { .path = path, .old = old, .new = new };
        bool same = old && new &&same_attributes(old, new);

        int r = read_target(old_fd, name, old, old_target);
        if (r < 0)
                return r;
        r = read_target(new_fd, name, new, new_target);
        if (r < 0)
                return r;
        if (old && S_ISLNK(old->st_mode))
                difference.old_target = old_target;
        if (new &&S_ISLNK(new->st_mode))
                difference.new_target = new_target;
        if (old && new &&S_ISREG(old->st_mode) && S_ISREG(new->st_mode)) {
                if (old->st_size != new->st_size) {
                        difference.content = true;
                } else if (!same_time(old, new)) {
                        r = content_differs(comparison, old_fd, new_fd, name);
                        if (r < 0)
                                return r;
                        difference.content = r > 0;
                }
        }
        if (same && !difference.content && streq(old_target, new_target))
                return 0;
        return comparison->on_difference(comparison->userdata, &difference);
}

static int compare_directories(const Comparison *comparison, int old_fd, int new_fd, const char *path, unsigned depth);

/* Opens directory @name, unless @st (may be NULL) says that it is no directory. A negative result with 0 in *ret: there
 * is no directory to look into. */
static int open_child(int fd, const char *name, const struct stat *st, int *ret) {
        struct statx stx;

        *ret = -EBADF;
        if (!st || !S_ISDIR(st->st_mode))
                return 0;
        _cleanup_close_ int child = open_directory_at(fd, name, false, 0);
        if (child < 0)
                return child;
        if (statx(child, "", AT_EMPTY_PATH, 0, &stx) < 0)
                return -errno;
        if (!(stx.stx_attributes & STATX_ATTR_MOUNT_ROOT))
                *ret = TAKE_FD(child);
        return 0;
}

/* Changes the owner to the one that the file would have in the old tree. */
static void shift_owner(const Comparison *comparison, struct stat *st) {
        if (st->st_uid >= comparison->new_owner_base)
                st->st_uid -= comparison->new_owner_base;
        if (st->st_gid >= comparison->new_owner_base)
                st->st_gid -= comparison->new_owner_base;
}

static int compare_name(const Comparison *comparison, int old_fd, int new_fd, const char *parent, const char *name,
                        bool in_old, bool in_new, unsigned depth) {
        _cleanup_close_ int old_child = -EBADF, new_child = -EBADF;
        _cleanup_free_ char *path = NULL;
        struct stat old, new;

        int r = string_printf(&path, "%s%s%s", parent, *parent ? "/" : "", name);
        if (r < 0)
                return r;
        if ((in_old && fstatat(old_fd, name, &old, AT_SYMLINK_NOFOLLOW) < 0) ||
            (in_new && fstatat(new_fd, name, &new, AT_SYMLINK_NOFOLLOW) < 0))
                return -errno;
        if (in_new)
                shift_owner(comparison, &new);
        r = compare_entry(comparison, old_fd, new_fd, path, name, in_old ? &old : NULL, in_new ? &new : NULL);
        if (r < 0)
                return r;
        r = open_child(old_fd, name, in_old ? &old : NULL, &old_child);
        if (r < 0)
                return r;
        r = open_child(new_fd, name, in_new ? &new : NULL, &new_child);
        if (r < 0 || (old_child < 0 && new_child < 0) || depth == 0)
                return r;
        return compare_directories(comparison, old_child, new_child, path, depth - 1);
}

/* Does the error say that a file was removed, or another one put in its place, after its directory was listed? */
static bool is_gone(int r) {
        return r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -ENXIO || r == -EISDIR;
}

static int compare_directories(const Comparison *comparison, int old_fd, int new_fd, const char *path, unsigned depth) {
        _cleanup_strv_ char **old_names = NULL, **new_names = NULL;
        char **a, **b;

        int r = list_names(old_fd, &old_names);
        if (r < 0)
                return r;
        r = list_names(new_fd, &new_names);
        if (r < 0)
                return r;
        for (a = old_names, b = new_names; (a && *a) || (b && *b);) {
                int order = !a || !*a ? 1 : !b || !*b ? -1 : strcmp(*a, *b);

                r = compare_name(comparison, old_fd, new_fd, path, order <= 0 ? *a : *b, order <= 0, order >= 0, depth);
                if (r < 0 && !is_gone(r))
                        return r;
                if (order <= 0)
                        a++;
                if (order >= 0)
                        b++;
        }
        return 0;
}

int compare_trees(int old_fd, int new_fd, uint32_t new_owner_base,
                  int (*on_difference)(void *userdata, const Difference *difference), void *userdata) {
        _cleanup_free_ char *old_buffer = malloc(BUFFER_BYTES), *new_buffer = malloc(BUFFER_BYTES);
        const Comparison comparison = { on_difference, userdata, new_owner_base, old_buffer, new_buffer };

        if (!old_buffer || !new_buffer)
                return -ENOMEM;
        return compare_directories(&comparison, old_fd, new_fd, "", DEPTH_MAX);
}
