/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Storage driver for what maintenance runs in an image: no layer, what is changed stays in the tree. Called through
 * the struct at the end only. Never for jobs: the tree must belong to the caller alone. */

#include "base/fd.h"
#include "base/fs.h"
#include "storage/root-mount.h"
#include "tree/skeleton.h"

static bool tree_suits(int root_fd _unused_) {
        return false; /* never for jobs */
}

static int tree_create(int image_fd _unused_, int layer_fd _unused_) {
        return 0;
}

static int tree_mount(const StorageMount *mount) {
        int r = skeleton_complete(mount->image_fd);
        if (r < 0)
                return r;
        _cleanup_close_ int mount_fd = mount_clone(mount->image_fd, "", mount->userns_fd);
        return mount_fd < 0 ? mount_fd : mount_attach(mount_fd, mount->target);
}

const StorageDriver storage_tree = {
        .name = "tree",
        .help = "the tree itself: for work on images",
        .needs_image = true,
        .suits = tree_suits,
        .create = tree_create,
        .mount = tree_mount,
};
