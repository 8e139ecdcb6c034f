/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Walks a tree and adds up what it occupies, or finds files whose owners do not exist in jobs. Called for
 * `chroot-list`, maintenance and the cache of images, and to limit what a source may unpack. It must change nothing,
 * and open only directories. */

#include "tree/size.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "tree/inode-table.h"
#include "tree/subvolume.h"

/* Directories deeper than this are not counted: no real tree is so deep, and each level holds a descriptor. */
#define DEPTH_MAX 256

/* The number of entries between two looks at the clock. */
#define DEADLINE_TICKS 64

typedef struct Walk {
        InodeTable counted; /* files with several links */
        bool btrfs;         /* each subvolume has a device number of its own */
        dev_t device;
        uint64_t bytes, max_bytes; /* -EDQUOT beyond */
        uint64_t least_bytes;      /* of each entry */
        bool deep_is_too_large;
        uint64_t deadline; /* -ETIME after it; 0: none */
        unsigned ticks;
        int tree_fd;
        uint64_t owner_limit;
        ForeignOwners *foreign; /* NULL: the caller did not ask for them */
} Walk;

/* Makes the path of entry @name of @dir_fd, relative to the top of the tree. */
static int path_in_tree(const Walk *walk, int dir_fd, const char *name, char **ret) {
        char link[64], root[PATH_MAX], directory[PATH_MAX];

        snprintf(link, sizeof(link), "/proc/self/fd/%d", walk->tree_fd);
        ssize_t n_root = readlink(link, root, sizeof(root));
        snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
        ssize_t n = readlink(link, directory, sizeof(directory) - 1);
        /* If the path is too long, or the directory is moved meanwhile, only the name is given. */
        if (n_root < 0 || n <= n_root)
                return string_replace(ret, name);
        directory[n] = 0;
        return string_printf(ret, "%s/%s", directory + n_root + 1, name);
}

static int note_owner(Walk *walk, const struct stat *st, int dir_fd, const char *name) {
        ForeignOwners *foreign = walk->foreign;

        if (!foreign || (st->st_uid < walk->owner_limit && st->st_gid < walk->owner_limit))
                return 0;
        if (foreign->n++ > 0)
                return 0;
        foreign->uid = st->st_uid;
        foreign->gid = st->st_gid;
        return path_in_tree(walk, dir_fd, name, &foreign->example);
}

static int count(Walk *walk, const struct stat *st, int dir_fd, const char *name) {
        int r = note_owner(walk, st, dir_fd, name);
        if (r < 0)
                return r;
        if (walk->deadline != 0 && ++walk->ticks % DEADLINE_TICKS == 0 && clock_now_usec() >= walk->deadline)
                return -ETIME;
        walk->bytes += MAX((uint64_t) st->st_blocks * 512, walk->least_bytes);
        return walk->bytes > walk->max_bytes ? -EDQUOT : 0;
}

static int walk_directory(Walk *walk, int fd, unsigned depth);

static int walk_entry(Walk *walk, int dir_fd, const char *name, unsigned depth) {
        struct stat st;

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;

        if (!S_ISDIR(st.st_mode)) {
                if (st.st_nlink > 1) {
                        if (inode_table_find(&walk->counted, &st))
                                return 0;
                        int r = inode_table_add(&walk->counted, &st, "");
                        if (r < 0)
                                return r;
                }
                return count(walk, &st, dir_fd, name);
        }

        if (depth >= DEPTH_MAX)
                return walk->deep_is_too_large ? -EDQUOT : 0;
        _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        if (st.st_dev != walk->device && !(walk->btrfs && btrfs_is_subvolume(fd)))
                return 0;
        int r = count(walk, &st, dir_fd, name);
        return r < 0 ? r : walk_directory(walk, TAKE_FD(fd), depth + 1);
}

/* Adds up the directory @fd, and closes @fd. */
static int walk_directory(Walk *walk, int fd, unsigned depth) {
        _cleanup_closedir_ DIR *dir = directory_stream(fd);
        if (!dir)
                return -errno;
        for (;;) {
                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                int r = walk_entry(walk, dirfd(dir), entry->d_name, depth);
                if (r < 0)
                        return r;
        }
}

static int walk_tree(int tree_fd, Walk *walk) {
        struct stat st;

        walk->btrfs = btrfs_is(tree_fd);
        if (fstat(tree_fd, &st) < 0)
                return -errno;
        walk->device = st.st_dev;
        int r = count(walk, &st, tree_fd, ".");
        if (r < 0)
                return r;

        int fd = openat(tree_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = fd < 0 ? -errno : walk_directory(walk, fd, 0);
        inode_table_done(&walk->counted);
        return r;
}

int tree_size(int tree_fd, uint64_t *ret_bytes) {
        Walk walk = { .max_bytes = UINT64_MAX };

        int r = walk_tree(tree_fd, &walk);
        if (r < 0)
                return r;
        *ret_bytes = walk.bytes;
        return 0;
}

int tree_size_until(int tree_fd, uint64_t deadline, uint64_t *ret_bytes) {
        Walk walk = { .max_bytes = UINT64_MAX, .deadline = deadline };

        int r = walk_tree(tree_fd, &walk);
        if (r < 0 && r != -ETIME)
                return r;
        *ret_bytes = walk.bytes;
        return r;
}

int tree_foreign_owners(int tree_fd, uint64_t limit, ForeignOwners *ret) {
        ForeignOwners foreign = { 0 };
        Walk walk = { .max_bytes = UINT64_MAX, .tree_fd = tree_fd, .owner_limit = limit, .foreign = &foreign };

        int r = walk_tree(tree_fd, &walk);
        if (r < 0) {
                free(foreign.example);
                return r;
        }
        *ret = foreign;
        return 0;
}

int tree_is_larger(int tree_fd, uint64_t max_bytes) {
        Walk walk = { .max_bytes = max_bytes, .least_bytes = 4096, .deep_is_too_large = true };

        int r = walk_tree(tree_fd, &walk);
        return r == -EDQUOT ? 1 : r;
}
