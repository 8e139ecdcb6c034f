/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "image/generation-collect.h"
#include "image/generation.h"
#include "image/publish.h"

/* For the integration tests: makes the next generation of an image as chroot-login does, but without a container, so that
 * it can be killed a hundred times in a few seconds:
 *      image-publish ROOT-DIRECTORY NAME TEXT
 * writes TEXT as a line to the file "aaa" of a copy of the image, then to "zzz", and publishes the copy. */

static int complain(const char *what, int r, const Problem *problem) {
        fprintf(stderr, "cannot %s: %s\n", what, problem_text(problem, r));
        return 1;
}

/* With none of the system calls at which tests kill this program. */
static int write_text(int tree_fd, const char *name, const char *text) {
        _cleanup_close_ int fd = openat(tree_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        return fd < 0 ? -errno : dprintf(fd, "%s\n", text) < 0 ? -EIO : 0;
}

static int change(const Staging *staging, const char *text) {
        _cleanup_close_ int tree_fd = staging_tree(staging);
        if (tree_fd < 0)
                return tree_fd;
        int r = write_text(tree_fd, "aaa", text);
        return r < 0 ? r : write_text(tree_fd, "zzz", text);
}

static int publish_change(const Image *image, Staging *staging, const char *text) {
        _cleanup_generation_ Generation *about = NULL;
        Problem problem = { 0 };

        int r = change(staging, text);
        if (r < 0)
                return complain("change the copy", r, &problem);
        r = generation_load_of(image, &about);
        if (r < 0)
                return complain("read about the image", r, &problem);
        about->updated_usec = 0; /* now */
        r = publish(staging, about, NULL, &problem);
        if (r < 0)
                return complain("publish the copy", r, &problem);
        r = generations_collect_locked(staging, NULL);
        return r < 0 ? complain("remove old generations", r, &problem) : 0;
}

int main(int argc, char **argv) {
        _cleanup_staging_ Staging staging = STAGING_NONE;
        _cleanup_image_ Image *image = NULL;
        Turn turn = { .command = "image-publish", .wait = true, .cancel_fd = -EBADF };
        Problem problem = { 0 };

        if (argc != 4)
                return 2;
        int r = generation_hold_reference(argv[1], argv[2], &image);
        if (r < 0)
                return complain("open the image", r, &problem);
        r = staging_open_copy(argv[1], argv[2], &turn, image, -EBADF, &staging);
        if (r < 0)
                return complain("copy the image", r, &problem);
        int status = publish_change(image, &staging, argv[3]);
        r = staging_discard(&staging);
        return r < 0 ? complain("remove the rest of the copy", r, &problem) : status;
}
