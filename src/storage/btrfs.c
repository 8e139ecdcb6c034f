/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Storage driver `btrfs`: the root of each job is a writable snapshot of the image. Called through the struct at the
 * end only. A layer does not need its image any more once it is made, so the image may then change. */

#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "storage/root-mount.h"
#include "tree/copy-tree.h"
#include "tree/skeleton.h"
#include "tree/subvolume.h"

static bool btrfs_suits(int root_fd) {
        return btrfs_is(root_fd) && btrfs_load_library() >= 0;
}

static int btrfs_create(int image_fd, int layer_fd) {
        bool shared = btrfs_is_subvolume(image_fd);
        int r = shared ? btrfs_subvolume_snapshot(image_fd, layer_fd, LAYER_ROOT) :
                         btrfs_subvolume_create(layer_fd, LAYER_ROOT);
        if (r < 0)
                return r;
        _cleanup_close_ int root_fd = open_directory_at(layer_fd, LAYER_ROOT, false, 0);
        if (root_fd < 0)
                return root_fd;
        if (!shared)
                r = copy_tree(image_fd, root_fd, NULL, -EBADF);
        return r < 0 ? r : skeleton_complete(root_fd);
}

static int btrfs_mount(const StorageMount *layer) {
        _cleanup_free_ char *path = NULL;

        /* Opened by its path, so that the mount belongs to this namespace. */
        int r = string_printf(&path, "%s/" LAYER_ROOT, layer->layer_path);
        if (r < 0)
                return r;
        _cleanup_close_ int mount_fd = mount_clone(AT_FDCWD, path, layer->userns_fd);
        return mount_fd < 0 ? mount_fd : mount_attach(mount_fd, layer->target);
}

static int btrfs_remove(int layer_fd, uint64_t deadline) {
        return btrfs_subvolume_remove_until(layer_fd, LAYER_ROOT, deadline);
}

const StorageDriver storage_btrfs = {
        .name = "btrfs",
        .help = "a snapshot for each job: for images on btrfs",
        .needs_image = false,
        .suits = btrfs_suits,
        .create = btrfs_create,
        .mount = btrfs_mount,
        .remove = btrfs_remove,
};
