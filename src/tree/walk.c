/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Visits everything in a tree, for those who add something up: size.c and usage.c. It changes nothing and opens only
 * directories: trees are hostile, and others could act on being opened. */

#include "tree/walk.h"

#include <fcntl.h>

#include "base/fd.h"
#include "base/fs.h"
#include "tree/subvolume.h"

typedef struct Walk {
        TreeVisit *visit;
        void *userdata;
        InodeTable *counted;
        bool btrfs;
        bool too_deep;
} Walk;

static int walk_directory(Walk *walk, int fd, dev_t device, unsigned depth);

static int visit_file(Walk *walk, int dir_fd, const char *name, const struct stat *st) {
        if (st->st_nlink > 1) {
                if (inode_table_find(walk->counted, st))
                        return 0;
                int r = inode_table_add(walk->counted, st, "");
                if (r < 0)
                        return r;
        }
        return walk->visit(dir_fd, name, st, walk->userdata);
}

static int walk_entry(Walk *walk, int dir_fd, dev_t device, const char *name, unsigned depth) {
        struct stat st;

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (!S_ISDIR(st.st_mode))
                return visit_file(walk, dir_fd, name, &st);
        if (depth >= TREE_WALK_DEPTH_MAX) {
                walk->too_deep = true;
                return 0;
        }
        _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        /* Each subvolume has a device number of its own. */
        if (st.st_dev != device && !(walk->btrfs && btrfs_is_subvolume(fd)))
                return 0;
        int r = walk->visit(dir_fd, name, &st, walk->userdata);
        return r < 0 ? r : walk_directory(walk, TAKE_FD(fd), st.st_dev, depth + 1);
}

/* What is in the directory @fd, which is on @device. Closes @fd. */
static int walk_directory(Walk *walk, int fd, dev_t device, unsigned depth) {
        _cleanup_closedir_ DIR *dir = directory_stream(fd);
        if (!dir)
                return -errno;
        for (;;) {
                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                int r = walk_entry(walk, dirfd(dir), device, entry->d_name, depth);
                if (r < 0)
                        return r;
        }
}

int tree_walk(int tree_fd, InodeTable *counted, TreeVisit *visit, void *userdata) {
        Walk walk = { .visit = visit, .userdata = userdata, .counted = counted, .btrfs = btrfs_is(tree_fd) };
        struct stat st;

        if (fstat(tree_fd, &st) < 0)
                return -errno;
        int r = visit(tree_fd, ".", &st, userdata);
        if (r < 0)
                return r;
        if (S_ISDIR(st.st_mode)) {
                int fd = openat(tree_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                r = fd < 0 ? -errno : walk_directory(&walk, fd, st.st_dev, 0);
        }
        return r < 0 ? r : walk.too_deep;
}
