/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The second half of renaming an image: moves its old generations. image/rename.c calls this; after a crash, the next
 * process that locks the image's staging directory does (image/generation-settle.h). The mark alone must decide
 * nothing: generations move only if the tree has moved, and never over those of another image. */

#include "image/rename-settle.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "image/generation.h"

int image_rename_generations(int images_fd, const char *name, const char *new_name) {
        _cleanup_close_ int fd = open_directory_at(images_fd, GENERATIONS_DIRECTORY, false, 0);

        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        if (renameat2(fd, name, fd, new_name, RENAME_NOREPLACE) < 0)
                return errno == ENOENT ? 0 : -errno;
        return fsync(fd) < 0 ? -errno : 0;
}

void image_rename_settle(const char *name, int images_fd, int staging_fd) {
        _cleanup_free_ char *new_name = NULL;

        if (file_read_at(staging_fd, IMAGE_RENAME_MARK, 256, &new_name, NULL) < 0 || image_name_problem(new_name))
                return;
        /* The tree was not renamed, or the new image was removed since. */
        if (exists_at(images_fd, name) || !exists_at(images_fd, new_name))
                return;
        (void) image_rename_generations(images_fd, name, new_name);
}
