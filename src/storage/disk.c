/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes a file system in a sparse file, for storage driver `file` and for what a job shares with its services. The file is
 * attached to a loop device and mounted in the mount namespace of a `supervise`: device and mount end with the last of
 * those that have it mounted, however they end. It must never be attached twice: two devices would write over each
 * other. */

#include "storage/disk.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/string.h"
#include "storage/storage.h"
#include "tree/remove.h"

#define DISK "disk"

/* ext4's own measures: a block, and an inode. */
#define BLOCK_BYTES 4096
#define INODE_BYTES 256

/* Others may take a loop device between our asking for a free one and taking it. */
#define LOOP_TRIES 1000

/* Without a journal, ext4 does not give away the inode of a removed file for a minute (recently_deleted() in the kernel's
 * fs/ext4/ialloc.c), and looks at each such inode again for each new file: a job that makes thousands of files again would
 * take many times longer. */
#define JOURNAL_MIB 4
#define JOURNAL_SIZE "size=4"

/* discard: what a job removes is given back to the host. noinit_itable: the host's disk reads as zeros there, and writing
 * zeros would make the file less sparse. The rest: nobody recovers anything from the journal, the content ends with the job. */
#define MOUNT_OPTIONS "discard,noinit_itable,data=writeback,nobarrier"

/* The path of the program: the runner's PATH does not matter. */
static const char *find_mkfs(void) {
        static const char *const places[] = { "/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4" };

        for (size_t i = 0; i < ELEMENTSOF(places); i++)
                if (access(places[i], X_OK) >= 0)
                        return places[i];
        return NULL;
}

bool disk_possible(void) {
        return find_mkfs() && access("/dev/loop-control", F_OK) >= 0;
}

/* So big that @bytes of it are left beside inodes, journal and what describes the blocks. */
static uint64_t size_with_overhead(uint64_t bytes) {
        const uint64_t inodes_per = STORAGE_BYTES_PER_FILE / INODE_BYTES;

        return bytes / (inodes_per - 1) * inodes_per + bytes / 8192 + ((uint64_t) (4 + JOURNAL_MIB) << 20);
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
                             "has_journal,^resize_inode", "-J", JOURNAL_SIZE, "-E",
                             "lazy_itable_init=1,lazy_journal_init=1,nodiscard", path),
                .envp = ARGV(ENVIRONMENT_PLAIN, "MKE2FS_CONFIG=/dev/null"),
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

int disk_make(int layer_fd, uint64_t bytes, const char *target) {
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
        return mount(path, target, "ext4", 0, MOUNT_OPTIONS) < 0 ? -errno : 0;
}

/* The loop device @name, if @file is attached to it: a descriptor, which keeps it attached; -ENOENT: it is not. */
static int open_loop_of(const char *name, const struct stat *file, char path[static 32]) {
        struct loop_info64 info;

        snprintf(path, 32, "/dev/%.20s", name);
        _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0 || ioctl(fd, LOOP_GET_STATUS64, &info) < 0)
                return -ENOENT;
        return info.lo_device == file->st_dev && info.lo_inode == file->st_ino ? TAKE_FD(fd) : -ENOENT;
}

/* Only devices that have a file, and one of that name: to open others could keep them from being detached. */
static bool may_have_disk(int block_fd, const char *name) {
        _cleanup_free_ char *path = NULL, *file = NULL;

        if (!startswith(name, "loop") || string_printf(&path, "%s/loop/backing_file", name) < 0 ||
            file_read_at(block_fd, path, PATH_MAX + 1, &file, NULL) < 0)
                return false;
        file[strcspn(file, "\n")] = 0;
        const char *slash = strrchr(file, '/');
        return slash && streq(slash + 1, DISK);
}

static int find_loop(const struct stat *file, char path[static 32]) {
        _cleanup_strv_ char **names = NULL;

        _cleanup_close_ int block_fd = open_directory_at(AT_FDCWD, "/sys/block", false, 0);
        if (block_fd < 0)
                return block_fd;
        int r = directory_names(block_fd, &names);
        if (r < 0)
                return r;
        for (char **name = names; name && *name; name++) {
                int fd = may_have_disk(block_fd, *name) ? open_loop_of(*name, file, path) : -ENOENT;
                if (fd >= 0)
                        return fd;
        }
        return -ENODEV;
}

int disk_join(int layer_fd, const char *target) {
        struct stat st;
        char path[32];

        if (fstatat(layer_fd, DISK, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        _cleanup_close_ int loop_fd = find_loop(&st, path);
        if (loop_fd < 0)
                return loop_fd;
        /* The kernel knows that this is the file system that is mounted already. */
        return mount(path, target, "ext4", 0, NULL) < 0 ? -errno : 0;
}

uint64_t disk_bytes(int layer_fd) {
        struct stat st;

        return fstatat(layer_fd, DISK, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : (uint64_t) st.st_blocks * 512;
}

int disk_remove(int layer_fd, uint64_t deadline) {
        int r = remove_tree_until(layer_fd, DISK, deadline);
        int q = remove_tree_until(layer_fd, LAYER_SHARED, deadline);

        return r < 0 ? r : q;
}
