/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The directory where the next tree of an image is made, and the lock that a process holds while it changes the image.
 * Called by maintenance, publish.c and `gc`. No job may see what is made in the directory. The next command removes what
 * an interrupted one left there. */

#include "image/staging.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/string.h"
#include "image/generation-settle.h"
#include "image/generation.h"
#include "image/lock.h"
#include "tree/copy-tree.h"
#include "tree/subvolume.h"

#define WORK "work"
/* The name of a copy that is not complete yet: it may have the number of the tree that is copied. */
#define TREE_COPY "copy"

static const char *const copy_without[] = { GENERATION_ATTRIBUTE, NULL };

void staging_done(Staging *staging) {
        free(staging->name);
        free(staging->root_dir);
        free(staging->root_path);
        free(staging->work_path);
        closep(&staging->images_fd);
        closep(&staging->parent_fd);
        closep(&staging->lock_fd);
        *staging = STAGING_NONE;
}

/* Opens `<root_dir>`, `.staging` and the locked directory of @name. */
static int open_locked(const char *root_dir, const char *name, bool create, Staging *ret) {
        _cleanup_staging_ Staging staging = STAGING_NONE;

        if (image_name_problem(name))
                return -EINVAL;
        if (string_replace(&staging.name, name) < 0 || string_replace(&staging.root_dir, root_dir) < 0 ||
            string_printf(&staging.root_path, "%s/" STAGING_DIRECTORY "/%s/" STAGING_TREE, root_dir, name) < 0 ||
            string_printf(&staging.work_path, "%s/" STAGING_DIRECTORY "/%s/" WORK, root_dir, name) < 0)
                return -ENOMEM;
        int r = -ESTALE;

        staging.images_fd = open(root_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (staging.images_fd < 0)
                return -errno;

        /* Other commands remove both directories when they are done, so either may vanish between two steps. */
        for (unsigned tries = 0; tries < 1000; tries++) {
                closep(&staging.parent_fd);
                staging.parent_fd = open_directory_at(staging.images_fd, STAGING_DIRECTORY, create, 0700);
                if (staging.parent_fd < 0)
                        r = staging.parent_fd == -ENOENT && create ? -ESTALE : staging.parent_fd;
                else
                        r = directory_lock_now(staging.parent_fd, name, create, LOCK_EX);
                if (r != -ESTALE)
                        break;
        }
        if (r < 0)
                return r;
        staging.lock_fd = r;
        *ret = staging;
        staging = STAGING_NONE;
        return 0;
}

static int make_tree(const Staging *staging, const char *name) {
        if (btrfs_is(staging->lock_fd) && btrfs_load_library() >= 0)
                return btrfs_subvolume_create(staging->lock_fd, name);
        return mkdirat(staging->lock_fd, name, 0755) < 0 ? -errno : 0;
}

/* Removes what is in the staging directory. -EBUSY: a tree in it is in use, and stays. */
static int empty(const Staging *staging) {
        _cleanup_closedir_ DIR *dir = directory_stream_of(staging->lock_fd);
        int result = 0;

        if (!dir)
                return -errno;

        for (;;) {
                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return errno != 0 && result == 0 ? -errno : result;
                _cleanup_close_ int fd = open_directory_at(staging->lock_fd, entry->d_name, false, 0);
                int r = fd < 0 ? 0 : image_lock_exclusive(fd);
                if (r == 0)
                        r = btrfs_subvolume_remove(staging->lock_fd, entry->d_name);
                if (r < 0 && result == 0)
                        result = r;
        }
}

int staging_settle(const Staging *staging) {
        return generations_settle(staging->root_dir, staging->name, staging->images_fd, staging->lock_fd, STAGING_TREE);
}

int staging_try_lock(const char *root_dir, const char *name, Staging *ret) {
        _cleanup_staging_ Staging staging = STAGING_NONE;

        int r = open_locked(root_dir, name, true, &staging);
        if (r < 0)
                return r;
        r = staging_settle(&staging);
        if (r < 0)
                return r;
        r = empty(&staging);
        if (r < 0)
                return r;
        *ret = staging;
        staging = STAGING_NONE;
        return 0;
}

/* Opens the directory that another process has locked, and finds out whether a tree is being made in it. */
static int open_other(const char *root_dir, const char *name, bool *ret_makes_tree) {
        _cleanup_free_ char *path = NULL;

        int r = string_printf(&path, "%s/" STAGING_DIRECTORY "/%s", root_dir, name);
        if (r < 0)
                return r;
        int fd = open_directory_at(AT_FDCWD, path, false, 0);
        *ret_makes_tree = fd >= 0 && (exists_at(fd, STAGING_TREE) || exists_at(fd, TREE_COPY));
        return fd;
}

void staging_holder(const char *root_dir, const char *reference, TurnHolder *ret) {
        _cleanup_free_ char *name = NULL;
        uint64_t number;
        bool makes_tree;

        _cleanup_close_ int fd = open_other(root_dir, reference, &makes_tree);
        *ret = turn_holder(fd);
        if (ret->pid > 0 || generation_split(reference, &name, &number) < 0)
                return;
        _cleanup_close_ int of_image = open_other(root_dir, name, &makes_tree);
        *ret = turn_holder(of_image);
}

int staging_lock(const char *root_dir, const char *name, Turn *turn, Staging *ret) {
        TurnWait wait = { 0 };

        for (;;) {
                bool makes_tree = false;

                int r = staging_try_lock(root_dir, name, ret);
                if (r == 0)
                        turn_note(turn, ret->lock_fd);
                if (r != -EBUSY)
                        return r;
                _cleanup_close_ int fd = open_other(root_dir, name, &makes_tree);
                r = turn_wait(turn, &wait, fd, makes_tree);
                if (r < 0)
                        return r;
        }
}

/* Opens the staging directory with a tree, which @make makes. */
static int open_with_tree(const char *root_dir, const char *name, Turn *turn, bool new_image,
                          int (*make)(const Staging *staging, const Image *from, int cancel_fd), const Image *from,
                          int cancel_fd, Staging *ret) {
        Staging staging;

        int r = staging_lock(root_dir, name, turn, &staging);
        if (r < 0)
                return r;
        staging.new_image = new_image;
        r = new_image && exists_at(staging.images_fd, name) ? -EEXIST : make(&staging, from, cancel_fd);
        if (r < 0) {
                (void) staging_discard(&staging);
                staging_done(&staging);
                return r;
        }
        *ret = staging;
        return 0;
}

static int make_empty(const Staging *staging, const Image *from _unused_, int cancel_fd _unused_) {
        return make_tree(staging, STAGING_TREE);
}

int staging_open(const char *root_dir, const char *name, Turn *turn, Staging *ret) {
        return open_with_tree(root_dir, name, turn, true, make_empty, NULL, -EBADF, ret);
}

int staging_open_empty(const char *root_dir, const char *name, Turn *turn, Staging *ret) {
        return open_with_tree(root_dir, name, turn, false, make_empty, NULL, -EBADF, ret);
}

static int fill_copy(const Staging *staging, const Image *from, int cancel_fd) {
        int r = make_tree(staging, TREE_COPY);
        if (r < 0)
                return r;
        _cleanup_close_ int tree_fd = open_directory_at(staging->lock_fd, TREE_COPY, false, 0);
        return tree_fd < 0 ? tree_fd : copy_tree(from->fd, tree_fd, copy_without, cancel_fd);
}

static int snapshot(const Staging *staging, const Image *from) {
        int r = btrfs_subvolume_snapshot(from->fd, staging->lock_fd, TREE_COPY);
        if (r < 0)
                return r;
        _cleanup_close_ int tree_fd = open_directory_at(staging->lock_fd, TREE_COPY, false, 0);
        if (tree_fd < 0)
                return tree_fd;
        return fremovexattr(tree_fd, GENERATION_ATTRIBUTE) < 0 && errno != ENODATA ? -errno : 0;
}

static int make_copy(const Staging *staging, const Image *from, int cancel_fd) {
        bool shared = btrfs_is_subvolume(from->fd) && btrfs_is(staging->lock_fd) && btrfs_load_library() >= 0;
        int r = shared ? snapshot(staging, from) : -EXDEV;

        /* -EXDEV: a subvolume of another file system cannot be snapshotted here. */
        if (r == -EXDEV)
                r = fill_copy(staging, from, cancel_fd);
        if (r < 0)
                return r;
        return renameat(staging->lock_fd, TREE_COPY, staging->lock_fd, STAGING_TREE) < 0 ? -errno : 0;
}

int staging_open_copy(const char *root_dir, const char *name, Turn *turn, const Image *from, int cancel_fd,
                      Staging *ret) {
        return open_with_tree(root_dir, name, turn, false, make_copy, from, cancel_fd, ret);
}

int staging_tree(const Staging *staging) {
        return open_directory_at(staging->lock_fd, STAGING_TREE, false, 0);
}

int staging_work(const Staging *staging) {
        if (mkdirat(staging->lock_fd, WORK, 0700) < 0)
                return -errno;
        return open_directory_at(staging->lock_fd, WORK, false, 0);
}

static int remove_directory(const Staging *staging) {
        int r = staging_settle(staging);
        if (r < 0)
                return r;
        r = empty(staging);
        if (r < 0)
                return r;
        return unlinkat(staging->parent_fd, staging->name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int staging_discard(Staging *staging) {
        int r = remove_directory(staging);

        /* This fails, as it must, while others work in the directory. */
        (void) unlinkat(staging->images_fd, STAGING_DIRECTORY, AT_REMOVEDIR);
        closep(&staging->lock_fd);
        return r;
}

/* Removes what is left for one name in the staging directory; with @dry_run only looks. Returns 1: there was something;
 * 0: there was nothing; or -errno. */
static int collect_name(const char *root_dir, const char *name, bool dry_run) {
        _cleanup_staging_ Staging staging = STAGING_NONE;

        int r = open_locked(root_dir, name, false, &staging);
        if (r < 0)
                return r == -EBUSY || r == -ENOENT ? 0 : r;
        if (!dry_run)
                r = staging_discard(&staging);
        return r < 0 ? r : 1;
}

int staging_collect(const char *root_dir, bool dry_run, char ***names) {
        _cleanup_free_ char *path = NULL;
        int result = 0;

        int r = string_printf(&path, "%s/" STAGING_DIRECTORY, root_dir);
        if (r < 0)
                return r;
        _cleanup_closedir_ DIR *dir = opendir(path);
        if (!dir)
                return errno == ENOENT ? 0 : -errno;

        for (;;) {
                struct dirent *entry = directory_next(dir);
                if (!entry && errno != 0)
                        return -errno;
                if (!entry)
                        break;
                if (*entry->d_name == '.')
                        continue;
                r = collect_name(root_dir, entry->d_name, dry_run);
                if (r > 0)
                        r = strv_extend(names, entry->d_name);
                if (r < 0 && result == 0)
                        result = r;
        }
        if (!dry_run)
                (void) rmdir(path); /* fails, as it must, while others work in it */
        return result;
}
