/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Renames an image, for chroot-rename. Two directories must be renamed: the tree and the directory of the old
 * generations. After a crash between the two, the generations would look like those of a removed image. So before the
 * first step, a mark in the image's staging directory must say what is to be done. */

#include "image/rename.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/fs.h"
#include "image/generation.h"
#include "image/rename-settle.h"

static bool has_generations(int images_fd, const char *name) {
        _cleanup_close_ int fd = open_directory_at(images_fd, GENERATIONS_DIRECTORY, false, 0);

        return fd >= 0 && exists_at(fd, name);
}

/* Renames the image. Both names are locked. */
static int rename_locked(const Staging *staging, const char *new_name) {
        int images_fd = staging->images_fd;

        int r = image_recognize(images_fd, staging->name);
        if (r < 0)
                return r;
        if (exists_at(images_fd, new_name) || has_generations(images_fd, new_name))
                return -EEXIST;
        r = file_replace_at(staging->lock_fd, IMAGE_RENAME_MARK, new_name, strlen(new_name), 0600);
        if (r < 0)
                return r;
        if (renameat2(images_fd, staging->name, images_fd, new_name, RENAME_NOREPLACE) < 0)
                return -errno;
        if (fsync(images_fd) < 0)
                return -errno;
        return image_rename_generations(images_fd, staging->name, new_name);
}

int image_rename(const char *root_dir, const char *name, const char *new_name, Turn *turn) {
        _cleanup_staging_ Staging first = STAGING_NONE, second = STAGING_NONE;
        bool ordered = strcmp(name, new_name) < 0;

        if (image_name_problem(name) || image_name_problem(new_name))
                return -EINVAL;
        if (strcmp(name, new_name) == 0)
                return -EEXIST;
        /* Locked in the order of the names, so that two commands that exchange names do not wait for each other. */
        int r = staging_lock(root_dir, ordered ? name : new_name, turn, &first);
        if (r < 0)
                return r;
        r = staging_lock(root_dir, ordered ? new_name : name, turn, &second);
        if (r == 0) {
                r = rename_locked(ordered ? &first : &second, new_name);
                (void) staging_discard(&second);
        }
        (void) staging_discard(&first);
        return r;
}
