/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Storage driver `quota`: like `overlay`, but what the job writes goes to a subvolume of btrfs whose quota group has a
 * limit, so that the job cannot write more than disk_max. Called through the struct at the end only. For btrfs with
 * quotas, simple or full ones. In an overlay a job can make no subvolumes, which would have groups of their own. */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/new-file.h"
#include "base/string.h"
#include "storage/root-mount.h"
#include "tree/quota-group.h"
#include "tree/subvolume.h"

/* The subvolume has the overlay's directories in it: it cannot be one of them, because overlayfs renames between them. */
#define SUBVOLUME "quota"

/* The number of its group, from before the subvolume is removed until the group is. */
#define GROUP_NUMBER "quota-group"
#define NUMBER_MAX_BYTES 32

/* Once the kernel has removed a subvolume, it counts so within half a minute. What is still counted after this time belongs
 * to others, and so does the group. */
#define COUNTED_USEC (600 * USEC_PER_SEC)

static bool quota_suits(int root_fd) {
        return quota_state(root_fd) == QUOTA_ON && btrfs_load_library() >= 0;
}

static int quota_create(int image_fd, int layer_fd) {
        int r = btrfs_subvolume_create(layer_fd, SUBVOLUME);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = open_directory_at(layer_fd, SUBVOLUME, false, 0);
        if (fd < 0)
                return fd;
        if (fchmod(fd, 0700) < 0)
                return -errno;
        return storage_overlay.create(image_fd, fd);
}

static int quota_mount(const StorageMount *mount) {
        _cleanup_free_ char *path = NULL;

        int r = string_printf(&path, "%s/" SUBVOLUME, mount->layer_path);
        if (r < 0)
                return r;
        /* Opened by its path, so that the mount belongs to this namespace. */
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        _cleanup_close_ int target_fd = open(mount->target, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (target_fd < 0)
                return -errno;
        r = quota_group_limit(fd, mount->disk_max_bytes);
        return r < 0 ? r : overlay_mount(mount, fd, target_fd);
}

/* A full disk has no room for this. Then the group may stay. */
static void note_group(int layer_fd) {
        char number[NUMBER_MAX_BYTES];
        uint64_t id;

        _cleanup_close_ int fd = open_directory_at(layer_fd, SUBVOLUME, false, 0);
        if (fd < 0 || !btrfs_is_subvolume(fd) || btrfs_subvolume_id(fd, &id) < 0)
                return;
        snprintf(number, sizeof(number), "%" PRIu64, id);
        (void) file_publish_at(layer_fd, GROUP_NUMBER, number, strlen(number), 0600);
}

static bool is_old(int layer_fd) {
        struct stat st;

        return fstatat(layer_fd, GROUP_NUMBER, &st, AT_SYMLINK_NOFOLLOW) >= 0 &&
               stat_modified_usec(&st) + COUNTED_USEC < clock_realtime_usec();
}

static int remove_group(int layer_fd) {
        _cleanup_free_ char *number = NULL;
        uint64_t id;

        int r = file_read_at(layer_fd, GROUP_NUMBER, NUMBER_MAX_BYTES, &number, NULL);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        r = parse_uint64(number, &id) >= 0 ? quota_group_remove(layer_fd, id) : 0;
        if (r == -EBUSY && !is_old(layer_fd))
                return -EINPROGRESS;
        if (r < 0 && r != -EBUSY)
                return r;
        return unlinkat(layer_fd, GROUP_NUMBER, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int quota_remove(int layer_fd, uint64_t deadline) {
        note_group(layer_fd);
        int r = btrfs_subvolume_remove_until(layer_fd, SUBVOLUME, deadline);
        return r < 0 ? r : remove_group(layer_fd);
}

static int quota_usage(int layer_fd, uint64_t *ret_bytes) {
        _cleanup_close_ int fd = open_directory_at(layer_fd, SUBVOLUME, false, 0);

        return fd < 0 ? fd : quota_group_usage(fd, ret_bytes);
}

const StorageDriver storage_quota = {
        .name = "quota",
        .help = "overlayfs, changes limited by a quota group of btrfs",
        .needs_image = true,
        .suits = quota_suits,
        .create = quota_create,
        .mount = quota_mount,
        .remove = quota_remove,
        .usage = quota_usage,
};
