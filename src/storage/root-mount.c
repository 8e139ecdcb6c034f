/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Mounts that several drivers need: a copy of a mount with other owners, and an overlay of the image and a writable
 * directory. Called by the drivers, in the mount namespace of `supervise`; `doctor` calls mount_clone(), too. Where
 * owners are mapped, devices of the image cannot be opened. */

#include "storage/root-mount.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "tree/remove.h"

int mount_clone(int dir_fd, const char *path, int userns_fd) {
        _cleanup_close_ int fd = open_tree(dir_fd, path,
                                           OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
        if (fd < 0)
                return -errno;
        if (userns_fd < 0)
                return TAKE_FD(fd);

        /* An image may come from anywhere and contain nodes of the host's devices that everybody may open. */
        struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NODEV, .userns_fd = (uint64_t) userns_fd };
        if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
                /* The only thing invalid about a mount that we just made is its file system. */
                return errno == EINVAL ? -EOPNOTSUPP : -errno;
        return TAKE_FD(fd);
}

int mount_attach(int mount_fd, const char *target) {
        return move_mount(mount_fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

static int copy_xattr(int from_fd, int to_fd, const char *name) {
        /* The limit of every file system, see xattr(7) */
        _cleanup_free_ char *value = malloc(65536);

        if (!value)
                return -ENOMEM;
        ssize_t n = fgetxattr(from_fd, name, value, 65536);
        if (n < 0)
                return errno == ENODATA ? 0 : -errno;
        if (fsetxattr(to_fd, name, value, (size_t) n, 0) >= 0)
                return 0;
        /* A tmpfs has no user attributes before Linux 6.6; a label that the policy refuses is the policy's business. */
        return errno == EOPNOTSUPP || errno == EPERM || errno == EACCES ? 0 : -errno;
}

static int copy_xattrs(int from_fd, int to_fd) {
        _cleanup_free_ char *names = malloc(65536);

        if (!names)
                return -ENOMEM;
        ssize_t n = flistxattr(from_fd, names, 65536);
        if (n < 0)
                return errno == EOPNOTSUPP ? 0 : -errno;

        for (const char *name = names; name < names + n; name += strlen(name) + 1) {
                /* What overlayfs would take for its own, and what we know the image by. */
                if (startswith(name, "trusted.overlay.") || startswith(name, "trusted.nspawn-runner."))
                        continue;
                int r = copy_xattr(from_fd, to_fd, name);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The root directory of an overlay shows the attributes of the upper one. They are read through the mapped mount, so
 * that owners, and users named in access lists, are those of the job's range already. */
static int mirror_directory(int lower_mount_fd, int upper_fd, const StorageMount *mount) {
        _cleanup_close_ int lower_fd = openat(lower_mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat st;

        if (lower_fd < 0 || fstat(lower_fd, &st) < 0)
                return -errno;

        if (mount->userns_fd >= 0) {
                /* An owner outside of the range would be the host's nobody, who must not own a job's root. */
                if (st.st_uid - mount->uid_base >= mount->uid_range)
                        st.st_uid = mount->uid_base;
                if (st.st_gid - mount->uid_base >= mount->uid_range)
                        st.st_gid = mount->uid_base;
        }
        if (fchown(upper_fd, st.st_uid, st.st_gid) < 0)
                return -errno;
        int r = copy_xattrs(lower_fd, upper_fd);
        if (r < 0)
                return r;
        if (fchmod(upper_fd, st.st_mode & 07777) < 0 ||
            futimens(upper_fd, (struct timespec[2]){ st.st_atim, st.st_mtim }) < 0)
                return -errno;
        return 0;
}

/* From the best to the plainest: a kernel or file system refuses what it does not know.
 * volatile: the layer dies with the job, so nothing of it need reach the disk. redirect_dir: directories of the image
 * can be renamed. metacopy: off, or files of the image would show up half copied. index: off, it wants file handles
 * of the image, for nothing. xino: off, it makes inode numbers beyond 63 bits where image and layer are on two file
 * systems. */
static const char *const overlay_options[] = {
        ",volatile,redirect_dir=on,metacopy=off,index=off,xino=off",
        ",redirect_dir=on,metacopy=off,index=off,xino=off",
        ",volatile",
        "",
};

static int mount_with_options(int lower_fd, int upper_fd, int writable_fd, int target_fd, const StorageMount *request,
                              const char *more) {
        char options[256], target[64];

        /* An attempt leaves marks that the next one refuses ("volatile" was here): each gets a directory of its own. */
        int r = remove_tree_at(writable_fd, OVERLAY_WORK);
        if (r < 0)
                return r;
        _cleanup_close_ int work_fd = open_directory_at(writable_fd, OVERLAY_WORK, true, 0700);
        if (work_fd < 0)
                return work_fd;

        /* Paths by descriptor: what stands in the administrator's paths (',', ':', '\\') means nothing here. */
        snprintf(options, sizeof(options),
                 "lowerdir=/proc/self/fd/%d,upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d%s", lower_fd, upper_fd,
                 work_fd, more);
        snprintf(target, sizeof(target), "/proc/self/fd/%d", target_fd);
        /* As mount_clone() does it. */
        return mount("overlay", target, "overlay", request->userns_fd >= 0 ? MS_NODEV : 0, options) < 0 ? -errno : 0;
}

static int overlay_mount_lower(int lower_fd, int writable_fd, int target_fd, const StorageMount *mount) {
        _cleanup_close_ int upper_fd = openat(writable_fd, OVERLAY_UPPER,
                                              O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (upper_fd < 0)
                return -errno;
        int r = mirror_directory(lower_fd, upper_fd, mount);
        if (r < 0)
                return r;

        for (size_t i = 0; i < ELEMENTSOF(overlay_options); i++) {
                r = mount_with_options(lower_fd, upper_fd, writable_fd, target_fd, mount, overlay_options[i]);
                /* EIO: "volatile" is refused on a disk that had an error to report once */
                if (r != -EINVAL && r != -EIO && r != -EOPNOTSUPP)
                        break;
        }
        return r;
}

int overlay_mount(const StorageMount *mount, int writable_fd, int target_fd) {
        _cleanup_close_ int lower_fd = mount_clone(mount->image_fd, "", mount->userns_fd);
        if (lower_fd < 0)
                return lower_fd;

        /* Overlayfs takes layers only from mounts that are part of a tree (until Linux 6.15). It makes copies of them
         * for itself, so this one can go at once, before anything in the container could see it. */
        int r = mount_attach(lower_fd, mount->work_dir);
        if (r < 0)
                return r;
        r = overlay_mount_lower(lower_fd, writable_fd, target_fd, mount);
        (void) umount2(mount->work_dir, MNT_DETACH);
        return r;
}

int overlay_mount_in_work_dir(const StorageMount *mount, int target_fd) {
        _cleanup_close_ int fd = open(mount->work_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 || mkdirat(fd, OVERLAY_UPPER, 0700) < 0)
                return -errno;
        return overlay_mount(mount, fd, target_fd);
}
