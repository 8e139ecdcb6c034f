/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tree/size.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "tree/subvolume.h"

/* Directories deeper than this are not counted: nothing real is, and each level holds a descriptor. */
#define DEPTH_MAX 256

/* Files with several links that were counted already: open addressing, 0 is free (no file has inode 0). */
typedef struct Seen {
        uint64_t *keys;
        size_t used, allocated; /* a power of two */
} Seen;

static bool seen_insert(uint64_t *keys, size_t allocated, uint64_t key) {
        size_t i = (size_t) (key * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (allocated - 1);

        for (; keys[i]; i = (i + 1) & (allocated - 1))
                if (keys[i] == key)
                        return false;
        keys[i] = key;
        return true;
}

/* Returns 1 when @key is new, 0 when not, or -ENOMEM. */
static int seen_add(Seen *seen, uint64_t key) {
        if (seen->used * 2 >= seen->allocated) {
                size_t allocated = MAX(seen->allocated * 2, (size_t) 1024);
                uint64_t *keys = calloc(allocated, sizeof(*keys));

                if (!keys)
                        return -ENOMEM;
                for (size_t i = 0; i < seen->allocated; i++)
                        if (seen->keys[i])
                                (void) seen_insert(keys, allocated, seen->keys[i]);
                free(seen->keys);
                *seen = (Seen){ .keys = keys, .used = seen->used, .allocated = allocated };
        }
        if (!seen_insert(seen->keys, seen->allocated, key))
                return 0;
        seen->used++;
        return 1;
}

typedef struct Walk {
        Seen seen;
        bool btrfs; /* each subvolume has a device number of its own */
        dev_t device;
        uint64_t bytes;
} Walk;

static int walk_directory(Walk *walk, int fd, unsigned depth);

static int walk_entry(Walk *walk, int dir_fd, const char *name, unsigned depth) {
        struct stat st;

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;

        if (!S_ISDIR(st.st_mode)) {
                if (st.st_nlink > 1) {
                        int r = seen_add(&walk->seen, (uint64_t) st.st_ino ^ (uint64_t) minor(st.st_dev) << 48);
                        if (r <= 0)
                                return r;
                }
                walk->bytes += (uint64_t) st.st_blocks * 512;
                return 0;
        }

        if (depth >= DEPTH_MAX)
                return 0;
        _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        if (st.st_dev != walk->device && !(walk->btrfs && btrfs_is_subvolume(fd)))
                return 0;
        walk->bytes += (uint64_t) st.st_blocks * 512;
        return walk_directory(walk, TAKE_FD(fd), depth + 1);
}

/* @fd is consumed. */
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

int tree_size(int tree_fd, uint64_t *ret_bytes) {
        Walk walk = { .btrfs = btrfs_is(tree_fd) };
        struct stat st;

        if (fstat(tree_fd, &st) < 0)
                return -errno;
        walk.device = st.st_dev;
        walk.bytes = (uint64_t) st.st_blocks * 512;

        int fd = openat(tree_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = fd < 0 ? -errno : walk_directory(&walk, fd, 0);
        free(walk.seen.keys);
        if (r < 0)
                return r;
        *ret_bytes = walk.bytes;
        return 0;
}
