/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Storage driver `file`: like `overlay`, but what a job writes goes to a file system of its own, in a sparse file in the
 * layer, so that it cannot write more than disk_max. Called through the struct at the end only. The file is attached to a
 * loop device and mounted in the mount namespace of `supervise`: device and mount end with that, however it ends. */

#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/string.h"
#include "storage/root-mount.h"
#include "tree/remove.h"

#define DISK "disk"

/* ext4's own measures: a block, and an inode. */
#define BLOCK_BYTES 4096
#define INODE_BYTES 256

/* Others may take a loop device between our asking for a free one and taking it. */
#define LOOP_TRIES 1000

/* The path of the program: the runner's PATH does not matter. */
static const char *find_mkfs(void) {
        static const char *const places[] = { "/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4" };

        for (size_t i = 0; i < ELEMENTSOF(places); i++)
                if (access(places[i], X_OK) >= 0)
                        return places[i];
        return NULL;
}

static bool file_suits(int root_fd _unused_) {
        return find_mkfs() && access("/dev/loop-control", F_OK) >= 0;
}

static int file_create(int image_fd _unused_, int layer_fd _unused_) {
        return 0; /* the size is known to who mounts it */
}

/* So big that @bytes of it are left beside inodes and what describes the blocks. */
static uint64_t size_with_overhead(uint64_t bytes) {
        const uint64_t inodes_per = STORAGE_BYTES_PER_FILE / INODE_BYTES;

        return bytes / (inodes_per - 1) * inodes_per + bytes / 8192 + (UINT64_C(4) << 20);
}

static int make_file(int layer_fd, uint64_t bytes) {
        int flags;

        _cleanup_close_ int fd = openat(layer_fd, DISK, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        /* btrfs would write each block to another place, and so make pieces of the file. Others do not know the flag. */
        if (ioctl(fd, FS_IOC_GETFLAGS, &flags) >= 0) {
                flags |= FS_NOCOW_FL;
                (void) ioctl(fd, FS_IOC_SETFLAGS, &flags);
        }
        if (ftruncate(fd, (off_t) (size_with_overhead(bytes) / BLOCK_BYTES * BLOCK_BYTES)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* Without a journal: the content ends with the job. */
static int make_file_system(int fd) {
        char path[64], inode_ratio[24];
        const char *program = find_mkfs();

        if (!program)
                return -ENOPKG;
        /* Our descriptor is the child's standard input. */
        snprintf(path, sizeof(path), "/proc/self/fd/%d", STDIN_FILENO);
        snprintf(inode_ratio, sizeof(inode_ratio), "%d", STORAGE_BYTES_PER_FILE);
        Spawn spawn = {
                .argv = ARGV(program, "-q", "-F", "-b", "4096", "-I", "256", "-i", inode_ratio, "-m", "0", "-O",
                             "^has_journal,^resize_inode", "-E", "lazy_itable_init=1,nodiscard", path),
                .envp = ARGV("PATH=" SEARCH_PATH, "LANG=C.UTF-8", "MKE2FS_CONFIG=/dev/null"),
                .stdin_fd = fd,
                .stdout_fd = -EBADF,
                .stderr_fd = -EBADF,
                .die_with_parent = true,
        };
        int r = process_run(&spawn);
        return r <= 0 ? r : -EIO;
}

/* Attaches @fd to a loop device, which detaches itself when nobody has it open or mounted: its descriptor and, in @path,
 * where it is. Or -errno. */
static int attach_loop(int fd, char path[static 32]) {
        struct loop_config config = { .fd = (uint32_t) fd, .info = { .lo_flags = LO_FLAGS_AUTOCLEAR } };

        _cleanup_close_ int control_fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        if (control_fd < 0)
                return -errno;
        for (unsigned tries = 0; tries < LOOP_TRIES; tries++) {
                int number = ioctl(control_fd, LOOP_CTL_GET_FREE);
                if (number < 0)
                        return -errno;
                snprintf(path, 32, "/dev/loop%d", number);
                _cleanup_close_ int loop_fd = open(path, O_RDWR | O_CLOEXEC);
                if (loop_fd < 0)
                        return -errno;
                if (ioctl(loop_fd, LOOP_CONFIGURE, &config) >= 0)
                        return TAKE_FD(loop_fd);
                if (errno != EBUSY)
                        return -errno;
        }
        return -EBUSY;
}

/* On @target, in this mount namespace. */
static int mount_disk(int layer_fd, uint64_t bytes, const char *target) {
        char path[32];

        _cleanup_close_ int fd = make_file(layer_fd, bytes);
        if (fd < 0)
                return fd;
        int r = make_file_system(fd);
        if (r < 0)
                return r;
        _cleanup_close_ int loop_fd = attach_loop(fd, path);
        if (loop_fd < 0)
                return loop_fd;
        /* discard: what a job removes is given back to the host. noinit_itable: the host's disk reads as zeros there, and
         * writing zeros would make the file less sparse. */
        return mount(path, target, "ext4", 0, "discard,noinit_itable") < 0 ? -errno : 0;
}

static int mount_above(const StorageMount *layer, int target_fd) {
        _cleanup_close_ int fd = open(layer->work_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 || mkdirat(fd, OVERLAY_UPPER, 0700) < 0)
                return -errno;
        return overlay_mount(layer, fd, target_fd);
}

static int file_mount(const StorageMount *layer) {
        /* Opened before the disk hides it: the target may be below the work directory. */
        _cleanup_close_ int target_fd = open(layer->target, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (target_fd < 0)
                return -errno;
        int r = mount_disk(layer->layer_fd, layer->disk_max_bytes, layer->work_dir);
        if (r < 0)
                return r;
        /* The overlay holds the disk from here on. */
        r = mount_above(layer, target_fd);
        (void) umount2(layer->work_dir, MNT_DETACH);
        return r;
}

static int file_remove(int layer_fd, uint64_t deadline) {
        return remove_tree_until(layer_fd, DISK, deadline);
}

const StorageDriver storage_file = {
        .name = "file",
        .help = "overlayfs, changes in a sparse file with ext4: limited by disk_max",
        .needs_image = true,
        .needs_loop = true,
        .suits = file_suits,
        .create = file_create,
        .mount = file_mount,
        .remove = file_remove,
};
