/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Limits subvolumes of btrfs, and asks what they take up. Called by the storage driver `quota` and by `doctor`. Whether
 * quotas are on is the administrator's choice: nothing here switches them on or off. */

#include "tree/quota-group.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "tree/subvolume.h"

/* The kernel's directory about the quotas of the file system that @fd is on. */
static int open_directory(int fd) {
        struct btrfs_ioctl_fs_info_args info = { 0 };
        char path[128], *end = path;

        if (ioctl(fd, BTRFS_IOC_FS_INFO, &info) < 0)
                return -errno;
        end = stpcpy(end, "/sys/fs/btrfs/");
        for (size_t i = 0; i < BTRFS_FSID_SIZE; i++)
                end += snprintf(end, 4, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", info.fsid[i]);
        strcpy(end, "/qgroups");
        return open_directory_at(AT_FDCWD, path, false, 0);
}

/* Asked for by hand, a rescan sets all counts to 0 first, and does not call that inconsistent. 1, 0, or -errno: only root of
 * the host may ask, and only he may set limits. */
static int is_rescanning(int fd) {
        struct btrfs_ioctl_quota_rescan_args args = { 0 };

        return ioctl(fd, BTRFS_IOC_QUOTA_RESCAN_STATUS, &args) < 0 ? -errno : args.flags != 0;
}

QuotaState quota_state(int fd) {
        uint64_t enabled, inconsistent;

        if (!btrfs_is(fd))
                return QUOTA_OFF;
        _cleanup_close_ int dir_fd = open_directory(fd);
        if (dir_fd < 0 || file_read_number_at(dir_fd, "enabled", &enabled) < 0 || enabled == 0 ||
            file_read_number_at(dir_fd, "inconsistent", &inconsistent) < 0)
                return QUOTA_OFF;
        int rescanning = is_rescanning(fd);
        if (rescanning < 0)
                return QUOTA_OFF;
        return inconsistent != 0 || rescanning > 0 ? QUOTA_UNCOUNTED : QUOTA_ON;
}

int quota_group_limit(int fd, uint64_t max_bytes) {
        /* Group 0 stands for that of the subvolume. */
        struct btrfs_ioctl_qgroup_limit_args args = {
                .lim = { .flags = BTRFS_QGROUP_LIMIT_MAX_RFER, .max_rfer = max_bytes },
        };

        return ioctl(fd, BTRFS_IOC_QGROUP_LIMIT, &args) < 0 ? -errno : 0;
}

int quota_group_usage(int fd, uint64_t *ret_bytes) {
        static const char *const counted[] = { "referenced", "rsv_data", "rsv_meta_pertrans", "rsv_meta_prealloc" };
        uint64_t id, used = 0;
        char name[32];

        int r = btrfs_subvolume_id(fd, &id);
        if (r < 0)
                return r;
        _cleanup_close_ int dir_fd = open_directory(fd);
        if (dir_fd < 0)
                return dir_fd;
        snprintf(name, sizeof(name), "0_%" PRIu64, id);
        _cleanup_close_ int group_fd = open_directory_at(dir_fd, name, false, 0);
        if (group_fd < 0)
                return group_fd;
        for (size_t i = 0; i < ELEMENTSOF(counted); i++) {
                uint64_t bytes;

                r = file_read_number_at(group_fd, counted[i], &bytes);
                if (r < 0)
                        return r;
                used += bytes;
        }
        *ret_bytes = used;
        return 0;
}

/* Has the kernel still to remove the content of subvolume @id? It stays in the list of subvolumes until then. */
static bool is_listed(int fd, uint64_t id) {
        struct btrfs_ioctl_search_args args = {
                .key = {
                        .tree_id = BTRFS_ROOT_TREE_OBJECTID,
                        .min_objectid = id,
                        .max_objectid = id,
                        .min_type = BTRFS_ROOT_ITEM_KEY,
                        .max_type = BTRFS_ROOT_ITEM_KEY,
                        .max_offset = UINT64_MAX,
                        .max_transid = UINT64_MAX,
                        .nr_items = 1,
                },
        };

        return ioctl(fd, BTRFS_IOC_TREE_SEARCH, &args) >= 0 && args.key.nr_items > 0;
}

int quota_group_remove(int fd, uint64_t id) {
        struct btrfs_ioctl_qgroup_create_args args = { .create = 0, .qgroupid = id };

        if (ioctl(fd, BTRFS_IOC_QGROUP_CREATE, &args) >= 0)
                return 0;
        switch (errno) {
        case ENOENT:   /* Linux 6.10 and later remove it themselves */
        case ENOTCONN: /* quotas are off, */
        case EINVAL:   /* also on older kernels */
                return 0;
        case EBUSY:
                return is_listed(fd, id) ? -EINPROGRESS : -EBUSY;
        default:
                return -errno;
        }
}
