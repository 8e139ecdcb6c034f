/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes, snapshots and removes btrfs subvolumes. Called for layers, staging trees, old generations and places that
 * outlive jobs. Nothing else may call libbtrfsutil. Users of a subvolume may have nested others in it, at paths of any
 * length: they are found through the kernel's own list, and none of their paths may be opened in one piece. */

#include "tree/subvolume.h"

#include <btrfsutil.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/library.h"
#include "base/string.h"
#include "tree/remove.h"

/* BTRFS_FIRST_FREE_OBJECTID: every subvolume's top directory has this inode number, and nothing else has. */
#define SUBVOLUME_INODE 256

#define FUNCTIONS(X)                               \
        X(btrfs_util_create_subvolume_fd)          \
        X(btrfs_util_create_snapshot_fd2)          \
        X(btrfs_util_delete_subvolume_fd)          \
        X(btrfs_util_delete_subvolume_by_id_fd)    \
        X(btrfs_util_set_subvolume_read_only_fd)   \
        X(btrfs_util_create_subvolume_iterator_fd) \
        X(btrfs_util_subvolume_iterator_next)      \
        X(btrfs_util_destroy_subvolume_iterator)

typedef struct Btrfsutil {
        FUNCTIONS(LIBRARY_POINTER)
} Btrfsutil;

static const char *const function_names[] = { FUNCTIONS(LIBRARY_NAME) NULL };

/* Loaded once, for every caller, and never unloaded. */
static Btrfsutil library;

int btrfs_load_library(void) {
        if (library.btrfs_util_create_subvolume_fd)
                return 0;
        return library_load(LIBRARY_BTRFSUTIL, function_names, (void **) &library) < 0 ? -ELIBACC : 0;
}

/* The library sets errno with every error that comes from the kernel. */
static int to_errno(enum btrfs_util_error error) {
        if (error == BTRFS_UTIL_OK)
                return 0;
        return errno > 0 ? -errno : -EIO;
}

bool btrfs_is(int fd) {
        struct statfs s;

        return fstatfs(fd, &s) >= 0 && (unsigned) s.f_type == BTRFS_SUPER_MAGIC;
}

bool btrfs_is_subvolume(int fd) {
        struct stat st;

        return fstat(fd, &st) >= 0 && S_ISDIR(st.st_mode) && st.st_ino == SUBVOLUME_INODE && btrfs_is(fd);
}

int btrfs_subvolume_id(int fd, uint64_t *ret) {
        struct btrfs_ioctl_ino_lookup_args args = { .objectid = BTRFS_FIRST_FREE_OBJECTID };

        if (ioctl(fd, BTRFS_IOC_INO_LOOKUP, &args) < 0)
                return -errno;
        *ret = args.treeid;
        return 0;
}

int btrfs_subvolume_create(int parent_fd, const char *name) {
        int r = btrfs_load_library();

        return r < 0 ? r : to_errno(library.btrfs_util_create_subvolume_fd(parent_fd, name, 0, NULL, NULL));
}

int btrfs_subvolume_snapshot(int source_fd, int parent_fd, const char *name) {
        int r = btrfs_load_library();

        if (r < 0)
                return r;
        r = to_errno(library.btrfs_util_create_snapshot_fd2(source_fd, parent_fd, name,
                                                            BTRFS_UTIL_CREATE_SNAPSHOT_RECURSIVE, NULL, NULL));
        if (r < 0 && r != -EEXIST)
                (void) btrfs_subvolume_remove(parent_fd, name);
        return r;
}

/* Makes the nested subvolume at @path, and every directory that leads there, removable. Goes one component at a time: a
 * job made the path, so it may be longer than PATH_MAX. */
static void unprotect_path(int top_fd, char *path) {
        _cleanup_close_ int fd = fd_duplicate(top_fd);

        for (char *name = strtok(path, "/"); fd >= 0 && name; name = strtok(NULL, "/")) {
                int child = open_directory_at(fd, name, false, 0);

                close(fd);
                fd = child;
                if (fd >= 0 && btrfs_is_subvolume(fd))
                        (void) library.btrfs_util_set_subvolume_read_only_fd(fd, false);
                if (fd >= 0)
                        (void) tree_clear_protection(fd);
        }
}

/* Calls unprotect_path() for every subvolume nested in @top_fd, or (with @remove) removes them, innermost first. */
static int for_each_nested(int top_fd, bool remove, uint64_t deadline) {
        struct btrfs_util_subvolume_iterator *iterator;
        enum btrfs_util_error error;
        int result = 0;

        int r = to_errno(library.btrfs_util_create_subvolume_iterator_fd(
                top_fd, 0, remove ? BTRFS_UTIL_SUBVOLUME_ITERATOR_POST_ORDER : 0, &iterator));
        if (r < 0)
                return r;

        for (;;) {
                _cleanup_free_ char *path = NULL;
                uint64_t id;

                error = library.btrfs_util_subvolume_iterator_next(iterator, &path, &id);
                if (error != BTRFS_UTIL_OK)
                        break;
                if (clock_now_usec() >= deadline) {
                        result = -ETIME;
                        break;
                }
                if (!remove)
                        unprotect_path(top_fd, path);
                else if ((r = to_errno(library.btrfs_util_delete_subvolume_by_id_fd(top_fd, id))) < 0 && result == 0)
                        result = r;
        }
        if (error != BTRFS_UTIL_OK && error != BTRFS_UTIL_ERROR_STOP_ITERATION && result == 0)
                result = to_errno(error);
        library.btrfs_util_destroy_subvolume_iterator(iterator);
        return result;
}

int btrfs_subvolume_remove(int parent_fd, const char *name) {
        return btrfs_subvolume_remove_until(parent_fd, name, USEC_INFINITY);
}

int btrfs_subvolume_remove_until(int parent_fd, const char *name, uint64_t deadline) {
        _cleanup_close_ int fd = open_directory_at(parent_fd, name, false, 0);
        if (fd == -ENOENT)
                return 0;
        if (fd < 0 || !btrfs_is_subvolume(fd))
                return remove_tree_until(parent_fd, name, deadline);

        int r = btrfs_load_library();
        if (r < 0)
                return r;

        /* Nearly always this call is enough. */
        if (library.btrfs_util_delete_subvolume_fd(parent_fd, name, 0) == BTRFS_UTIL_OK)
                return 0;

        (void) library.btrfs_util_set_subvolume_read_only_fd(fd, false);
        (void) tree_clear_protection(fd);
        r = for_each_nested(fd, false, deadline);
        if (r < 0)
                return r;
        r = for_each_nested(fd, true, deadline);
        if (r < 0)
                return r;
        return to_errno(library.btrfs_util_delete_subvolume_fd(parent_fd, name, 0));
}
