/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/staging.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "image/image.h"
#include "image/lock.h"
#include "storage/subvolume.h"

#define STAGING_DIRECTORY ".staging"
#define TREE "root"

void staging_done(Staging *staging) {
        free(staging->name);
        free(staging->root_path);
        closep(&staging->images_fd);
        closep(&staging->parent_fd);
        closep(&staging->lock_fd);
        *staging = STAGING_NONE;
}

/* Opens and locks directory @name. Whoever had the lock may have removed the directory as its last act: then what we
 * locked is not what bears the name, and -EAGAIN is returned. */
static int lock_directory(int parent_fd, const char *name, bool create) {
        _cleanup_close_ int fd = open_directory_at(parent_fd, name, create, 0700);
        struct stat ours, named;

        if (fd < 0)
                return fd;
        int r = image_lock_exclusive(fd);
        if (r < 0)
                return r;
        if (fstat(fd, &ours) < 0)
                return -errno;
        if (fstatat(parent_fd, name, &named, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? -EAGAIN : -errno;
        return ours.st_ino == named.st_ino && ours.st_dev == named.st_dev ? TAKE_FD(fd) : -EAGAIN;
}

/* Opens `<root_dir>`, `.staging` and the locked directory of @name. */
static int open_locked(const char *root_dir, const char *name, bool create, Staging *ret) {
        _cleanup_staging_ Staging staging = STAGING_NONE;

        if (image_name_problem(name))
                return -EINVAL;
        staging.name = strdup(name);
        if (!staging.name)
                return -ENOMEM;
        int r = string_printf(&staging.root_path, "%s/" STAGING_DIRECTORY "/%s/" TREE, root_dir, name);
        if (r < 0)
                return r;

        staging.images_fd = open(root_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (staging.images_fd < 0)
                return -errno;

        /* Others remove both directories when they are done, so either may vanish between two steps. */
        for (unsigned tries = 0; tries < 1000; tries++) {
                closep(&staging.parent_fd);
                staging.parent_fd = open_directory_at(staging.images_fd, STAGING_DIRECTORY, create, 0700);
                r = staging.parent_fd < 0 ? staging.parent_fd : lock_directory(staging.parent_fd, name, create);
                if (r != -EAGAIN && !(r == -ENOENT && create))
                        break;
        }
        if (r < 0)
                return r;
        staging.lock_fd = r;
        *ret = staging;
        staging = STAGING_NONE;
        return 0;
}

static int make_tree(const Staging *staging) {
        if (btrfs_is(staging->lock_fd) && btrfs_load_library() >= 0)
                return btrfs_subvolume_create(staging->lock_fd, TREE);
        return mkdirat(staging->lock_fd, TREE, 0755) < 0 ? -errno : 0;
}

int staging_open(const char *root_dir, const char *name, Staging *ret) {
        Staging staging;
        struct stat st;

        int r = open_locked(root_dir, name, true, &staging);
        if (r < 0)
                return r;

        r = btrfs_subvolume_remove(staging.lock_fd, TREE);
        if (r >= 0 && fstatat(staging.images_fd, name, &st, AT_SYMLINK_NOFOLLOW) >= 0)
                r = -EEXIST;
        if (r >= 0)
                r = make_tree(&staging);
        if (r < 0) {
                (void) staging_discard(&staging);
                staging_done(&staging);
                return r;
        }
        *ret = staging;
        return 0;
}

int staging_tree(const Staging *staging) {
        return open_directory_at(staging->lock_fd, TREE, false, 0);
}

int staging_publish(Staging *staging) {
        /* Before the name: after a power failure an image is there whole or not at all. */
        if (syncfs(staging->lock_fd) < 0)
                return -errno;
        if (renameat2(staging->lock_fd, TREE, staging->images_fd, staging->name, RENAME_NOREPLACE) >= 0)
                return 0;
        if (errno != EINVAL)
                return -errno;

        /* A file system without RENAME_NOREPLACE. Others who make this image are locked out; renameat() itself refuses
         * to replace a directory that is not empty. */
        struct stat st;
        if (fstatat(staging->images_fd, staging->name, &st, AT_SYMLINK_NOFOLLOW) >= 0)
                return -EEXIST;
        return renameat(staging->lock_fd, TREE, staging->images_fd, staging->name) < 0 ? -errno : 0;
}

int staging_discard(Staging *staging) {
        int r = btrfs_subvolume_remove(staging->lock_fd, TREE);

        if (r >= 0)
                r = remove_tree_at(staging->parent_fd, staging->name);
        /* Stays while others work in it. */
        (void) unlinkat(staging->images_fd, STAGING_DIRECTORY, AT_REMOVEDIR);
        closep(&staging->lock_fd);
        staging->lock_fd = -EBADF;
        return r;
}

/* One name of the staging directory. Returns 1 when there was something (and it is gone now unless @dry_run), 0 when
 * not, or -errno. */
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
                errno = 0;
                struct dirent *entry = readdir(dir);
                if (!entry)
                        return errno != 0 ? -errno : result;
                if (*entry->d_name == '.')
                        continue;
                r = collect_name(root_dir, entry->d_name, dry_run);
                if (r > 0)
                        r = strv_extend(names, entry->d_name);
                if (r < 0 && result == 0)
                        result = r;
        }
}
