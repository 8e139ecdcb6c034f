/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Renames an image, for chroot-rename. Two directories must be renamed: the tree and the directory of the old
 * generations. After a crash between the two, the generations would look like those of a removed image, and the image
 * like one of which nothing is known. So before the first step, marks in the staging directories of both names must say
 * what is to be done: either may be the next one that somebody locks. */

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

static int write_mark(const Staging *staging, const char *mark, const char *name) {
        return file_replace_at(staging->lock_fd, mark, name, strlen(name), 0600);
}

/* Renames the image. Both names are locked. */
static int rename_locked(const Staging *old, const Staging *new) {
        int images_fd = old->images_fd;

        int r = image_recognize(images_fd, old->name);
        if (r < 0)
                return r;
        if (exists_at(images_fd, new->name) || has_generations(images_fd, new->name))
                return -EEXIST;
        /* The second is never there without the first, which makes sure that it does not outlast the lock. */
        r = write_mark(old, IMAGE_RENAMED_TO, new->name);
        if (r < 0)
                return r;
        r = write_mark(new, IMAGE_RENAMED_FROM, old->name);
        if (r < 0)
                return r;
        if (renameat2(images_fd, old->name, images_fd, new->name, RENAME_NOREPLACE) < 0)
                return -errno;
        if (fsync(images_fd) < 0)
                return -errno;
        return image_rename_generations(images_fd, old->name, new->name);
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
                r = ordered ? rename_locked(&first, &second) : rename_locked(&second, &first);
                (void) staging_discard(&second);
        }
        (void) staging_discard(&first);
        return r;
}
