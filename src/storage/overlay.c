/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Storage driver `overlay`: what a job writes goes to a directory on disk, above the image, which is never written
 * to. Called through the struct at the end only. The mounting itself is in root-mount.c, which `tmpfs` shares. */

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>

#include "base/fd.h"
#include "base/fs.h"
#include "storage/root-mount.h"
#include "tree/remove.h"

/* File systems that cannot hold the changes of an overlay: they lack trusted attributes or whiteouts. */
static const unsigned unsuitable[] = {
        OVERLAYFS_SUPER_MAGIC, NFS_SUPER_MAGIC,  SMB_SUPER_MAGIC,      SMB2_SUPER_MAGIC,
        CIFS_SUPER_MAGIC,      FUSE_SUPER_MAGIC, V9FS_MAGIC,           MSDOS_SUPER_MAGIC,
        EXFAT_SUPER_MAGIC,     AFS_FS_MAGIC,     ECRYPTFS_SUPER_MAGIC,
};

static bool overlay_suits(int root_fd) {
        struct statfs s;

        if (fstatfs(root_fd, &s) < 0)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(unsuitable); i++)
                if ((unsigned) s.f_type == unsuitable[i])
                        return false;
        return true;
}

static int overlay_create(int image_fd _unused_, int layer_fd) {
        /* A plain directory: as a subvolume (on btrfs) it would give EXDEV to every rename. Its attributes are
         * the image's from mount() on. */
        return mkdirat(layer_fd, OVERLAY_UPPER, 0700) < 0 ? -errno : 0;
}

static int overlay_mount_layer(const StorageMount *mount) {
        /* Opened by their paths, so that the mounts belong to this namespace. */
        _cleanup_close_ int layer_fd = open(mount->layer_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (layer_fd < 0)
                return -errno;
        _cleanup_close_ int target_fd = open(mount->target, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (target_fd < 0)
                return -errno;
        return overlay_mount(mount, layer_fd, target_fd);
}

static int overlay_remove(int layer_fd, uint64_t deadline) {
        int r = remove_tree_until(layer_fd, OVERLAY_UPPER, deadline);
        int q = remove_tree_until(layer_fd, OVERLAY_WORK, deadline);

        return r < 0 ? r : q;
}

const StorageDriver storage_overlay = {
        .name = "overlay",
        .help = "overlayfs, changes on disk: for images on any file system",
        .needs_image = true,
        .suits = overlay_suits,
        .create = overlay_create,
        .mount = overlay_mount_layer,
        .remove = overlay_remove,
};
