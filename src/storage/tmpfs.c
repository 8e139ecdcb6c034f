/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Storage driver `tmpfs`: like `overlay`, but what a job writes stays in memory, in the mount namespace of
 * `supervise`. Called through the struct at the end only. Leaves nothing on disk, so there is nothing to remove. */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mount.h>

#include "base/fd.h"
#include "base/fs.h"
#include "storage/root-mount.h"

/* What an image of a few megabytes needs, too. */
#define FILES_MIN UINT64_C(1024)

static bool tmpfs_suits(int root_fd _unused_) {
        return true; /* the image is only read */
}

static int tmpfs_create(int image_fd _unused_, int layer_fd _unused_) {
        return 0; /* the whole layer is in the job's mount namespace and ends with it */
}

/* By itself, a tmpfs has room for as many files as pages. */
static uint64_t bytes_per_file(const StorageMount *layer) {
        return layer->disk_max_bytes < layer->tmpfs_size_bytes ? STORAGE_BYTES_PER_FILE : 4096;
}

static int tmpfs_mount(const StorageMount *layer) {
        uint64_t size_bytes = MIN(layer->tmpfs_size_bytes, layer->disk_max_bytes);
        char options[96];

        /* For a tmpfs, no limit is 0. */
        snprintf(options, sizeof(options), "mode=0700,size=%" PRIu64 ",nr_inodes=%" PRIu64,
                 size_bytes == UINT64_MAX ? 0 : size_bytes,
                 size_bytes == UINT64_MAX ? 0 : MAX(size_bytes / bytes_per_file(layer), FILES_MIN));

        /* Opened before the tmpfs hides it: the target may be below the work directory. */
        _cleanup_close_ int target_fd = open(layer->target, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (target_fd < 0)
                return -errno;
        if (mount("tmpfs", layer->work_dir, "tmpfs", 0, options) < 0)
                return -errno;

        /* The overlay holds the tmpfs from here on. */
        int r = overlay_mount_in_work_dir(layer, target_fd);
        (void) umount2(layer->work_dir, MNT_DETACH);
        return r;
}

const StorageDriver storage_tmpfs = {
        .name = "tmpfs",
        .help = "overlayfs, changes in memory: fast, limited by tmpfs_size",
        .needs_image = true,
        .in_memory = true,
        .suits = tmpfs_suits,
        .create = tmpfs_create,
        .mount = tmpfs_mount,
};
