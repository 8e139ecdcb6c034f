/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The second half of renaming an image: moves its old generations. image/rename.c calls this; after a crash, the next
 * process that locks the staging directory of either name does (image/generation-settle.h). Until then, jobs find the
 * records by the mark, too. A mark alone must decide nothing: generations move only if the tree has moved, and never
 * over those of another image. */

#include "image/rename-settle.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "image/image.h"

int image_rename_generations(int images_fd, const char *name, const char *new_name) {
        _cleanup_close_ int fd = open_directory_at(images_fd, GENERATIONS_DIRECTORY, false, 0);

        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        if (renameat2(fd, name, fd, new_name, RENAME_NOREPLACE) < 0)
                return errno == ENOENT ? 0 : -errno;
        return fsync(fd) < 0 ? -errno : 0;
}

/* Reads the name in a mark. 0 or -errno. */
static int read_mark(int staging_fd, const char *mark, char **ret) {
        _cleanup_free_ char *name = NULL;

        int r = file_read_at(staging_fd, mark, 256, &name, NULL);
        if (r < 0)
                return r;
        if (image_name_problem(name))
                return -ENOENT; /* nobody can have written that */
        *ret = TAKE_PTR(name);
        return 0;
}

static void move_generations(int images_fd, const char *name, const char *new_name) {
        /* The tree was not renamed, or the new image was removed since. */
        if (exists_at(images_fd, name) || !exists_at(images_fd, new_name))
                return;
        (void) image_rename_generations(images_fd, name, new_name);
}

static int open_staging(int images_fd, const char *name) {
        _cleanup_close_ int parent_fd = open_directory_at(images_fd, STAGING_DIRECTORY, false, 0);

        return parent_fd < 0 ? parent_fd : open_directory_at(parent_fd, name, false, 0);
}

/* Removes the mark that says that @new_name was @name, whose lock we have: from now on @name may be another image, with
 * generations of its own. Only a rename that holds the same lock writes such a mark. */
static void forget_name(const char *name, const char *new_name, int images_fd) {
        _cleanup_close_ int fd = open_staging(images_fd, new_name);
        _cleanup_free_ char *old_name = NULL;

        if (fd >= 0 && read_mark(fd, IMAGE_RENAMED_FROM, &old_name) >= 0 && streq(old_name, name))
                (void) unlinkat(fd, IMAGE_RENAMED_FROM, 0);
}

void image_rename_settle(const char *name, int images_fd, int staging_fd) {
        _cleanup_free_ char *new_name = NULL, *old_name = NULL;

        if (read_mark(staging_fd, IMAGE_RENAMED_TO, &new_name) >= 0) {
                move_generations(images_fd, name, new_name);
                forget_name(name, new_name, images_fd);
        }
        if (read_mark(staging_fd, IMAGE_RENAMED_FROM, &old_name) >= 0)
                move_generations(images_fd, old_name, name);
}

int image_renamed_from(const char *root_dir, const char *name, char **ret) {
        _cleanup_close_ int images_fd = open(root_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (images_fd < 0)
                return -errno;
        _cleanup_close_ int fd = open_staging(images_fd, name);
        return fd < 0 ? fd : read_mark(fd, IMAGE_RENAMED_FROM, ret);
}
