/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Storage driver `project`: like `overlay`, but the job's layer is a project of the file system's quota, so that the job,
 * with the volumes in its layer, cannot write more than disk_max. Called through the struct at the end only. For ext4 and
 * XFS that are mounted with `prjquota`: neither a loop device nor a second file system is in the way. The kernel lets
 * nobody in a user namespace change a file's project, and overlayfs writes without the right to exceed quotas. */

#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "storage/root-mount.h"

/* A range that administrators are unlikely to use. */
#define PROJECT_MIN UINT32_C(0x4e520000)
#define PROJECT_COUNT UINT32_C(0x2000000)
#define PROJECT_TRIES 64

#define QUOTA_BLOCK_BYTES 1024

static int quota_call(int fd, int command, uint32_t project, void *data) {
        return syscall(SYS_quotactl_fd, fd, (unsigned) QCMD(command, PRJQUOTA), project, data) < 0 ? -errno : 0;
}

static bool project_suits(int root_fd) {
        struct fs_quota_stat state = { .qs_version = FS_QSTAT_VERSION };

        return storage_overlay.suits(root_fd) && quota_call(root_fd, Q_XGETQSTAT, 0, &state) >= 0 &&
               (state.qs_flags & FS_QUOTA_PDQ_ENFD);
}

/* Does anything belong to the project? What ended jobs left in the trash counts until it is removed. */
static bool is_free(int fd, uint32_t project) {
        struct if_dqblk usage = { 0 };

        int r = quota_call(fd, Q_GETQUOTA, project, &usage);
        return r == -ESRCH || r == -ENOENT || (r >= 0 && usage.dqb_curspace == 0 && usage.dqb_curinodes == 0);
}

static int get_project(int fd, uint32_t *ret) {
        struct fsxattr attributes;

        if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) < 0)
                return -errno;
        *ret = attributes.fsx_projid;
        return 0;
}

/* Everything that is made in the directory from now on belongs to the project, too. */
static int set_project(int fd, uint32_t project) {
        struct fsxattr attributes;

        if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) < 0)
                return -errno;
        attributes.fsx_projid = project;
        attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
        return ioctl(fd, FS_IOC_FSSETXATTR, &attributes) < 0 ? -errno : 0;
}

/* No two directories have the same inode at a time, so no two layers try the same project first. */
static int take_project(int layer_fd) {
        struct stat st;

        if (fstat(layer_fd, &st) < 0)
                return -errno;
        for (uint32_t i = 0; i < PROJECT_TRIES; i++) {
                uint32_t project = PROJECT_MIN +
                                   (uint32_t) ((uint64_t) st.st_ino + UINT64_C(104729) * i) % PROJECT_COUNT;

                if (is_free(layer_fd, project))
                        return set_project(layer_fd, project);
        }
        return -EBUSY;
}

static int project_create(int image_fd, int layer_fd) {
        int r = take_project(layer_fd);

        return r < 0 ? r : storage_overlay.create(image_fd, layer_fd);
}

static int set_limit(int fd, uint64_t bytes) {
        uint32_t project = 0;

        int r = get_project(fd, &project);
        if (r < 0)
                return r;
        struct if_dqblk limit = {
                .dqb_bhardlimit = bytes / QUOTA_BLOCK_BYTES,
                .dqb_ihardlimit = bytes / STORAGE_BYTES_PER_FILE,
                .dqb_valid = QIF_LIMITS,
        };
        return quota_call(fd, Q_SETQUOTA, project, &limit);
}

static int project_mount(const StorageMount *mount) {
        int r = set_limit(mount->layer_fd, mount->disk_max_bytes);

        return r < 0 ? r : storage_overlay.mount(mount);
}

static int project_usage(int layer_fd, uint64_t *ret_bytes) {
        struct if_dqblk usage = { 0 };
        uint32_t project = 0;

        int r = get_project(layer_fd, &project);
        if (r < 0)
                return r;
        r = project == 0 ? -ENOENT : quota_call(layer_fd, Q_GETQUOTA, project, &usage);
        if (r < 0)
                return r;
        *ret_bytes = usage.dqb_curspace;
        return 0;
}

const StorageDriver storage_project = {
        .name = "project",
        .help = "overlayfs, changes limited by a project quota of the disk",
        .needs_image = true,
        .limits_volumes = true,
        .suits = project_suits,
        .create = project_create,
        .mount = project_mount,
        .usage = project_usage,
        /* storage_overlay removes the same. */
};
