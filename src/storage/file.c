/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Storage driver `file`: like `overlay`, but what a job writes goes to a file system of its own, in a sparse file in the
 * layer, so that it cannot write more than disk_max. Called through the struct at the end only. */

#include <fcntl.h>
#include <sys/mount.h>

#include "base/fd.h"
#include "storage/disk.h"
#include "storage/root-mount.h"

static bool file_suits(int root_fd _unused_) {
        return disk_possible();
}

static int file_create(int image_fd _unused_, int layer_fd _unused_) {
        return 0; /* the size is known to who mounts it */
}

static int file_mount(const StorageMount *layer) {
        /* Opened before the disk hides it: the target may be below the work directory. */
        _cleanup_close_ int target_fd = open(layer->target, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (target_fd < 0)
                return -errno;
        int r = disk_make(layer->layer_fd, layer->disk_max_bytes, layer->work_dir);
        if (r < 0)
                return r;
        /* The overlay holds the disk from here on. */
        r = overlay_mount_in_work_dir(layer, target_fd);
        (void) umount2(layer->work_dir, MNT_DETACH);
        return r;
}

const StorageDriver storage_file = {
        .name = "file",
        .help = "overlayfs, changes in a sparse file with ext4: limited by disk_max",
        .needs_image = true,
        .needs_loop = true,
        .suits = file_suits,
        .create = file_create,
        .mount = file_mount,
        .remove = disk_remove,
};
