/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "source/confine.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fd.h"

static const char *const devices[] = { "null", "zero", "full", "random", "urandom" };

/* To give files any owner, mode, time and file capability. Without CAP_SYS_ADMIN nothing can be mounted again, and no
 * "trusted." attribute be set: these mean something to overlayfs and to us. */
static const unsigned capabilities[] = {
        CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,     CAP_FSETID,
        CAP_SETGID, CAP_SETUID,       CAP_SETFCAP,         CAP_SYS_CHROOT, CAP_MKNOD,
};

static int change_mount(const char *path, unsigned flags, uint64_t set, uint64_t clear) {
        struct mount_attr attr = { .attr_set = set, .attr_clr = clear };

        return mount_setattr(AT_FDCWD, path, flags, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

/* Each a mount of the host's device, taken before devices cannot be opened any more. */
static int clone_devices(int fds[static ELEMENTSOF(devices)]) {
        for (size_t i = 0; i < ELEMENTSOF(devices); i++) {
                char path[32];

                snprintf(path, sizeof(path), "/dev/%s", devices[i]);
                fds[i] = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
                if (fds[i] < 0)
                        return -errno;
        }
        return 0;
}

static int mount_devices(const int fds[static ELEMENTSOF(devices)]) {
        if (mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=0755,size=64k") < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(devices); i++) {
                char path[32];

                snprintf(path, sizeof(path), "/dev/%s", devices[i]);
                _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
                if (fd < 0 || move_mount(fds[i], "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
                        return -errno;
        }
        if (symlink("/proc/self/fd", "/dev/fd") < 0)
                return -errno;
        return change_mount("/dev", 0, MOUNT_ATTR_RDONLY, 0);
}

static int confine_mounts(char *const *writable, const int device_fds[static ELEMENTSOF(devices)]) {
        /* Private: what the host mounts meanwhile does not come in here, writable. */
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -errno;
        for (char *const *path = writable; *path; path++)
                if (mount(*path, *path, NULL, MS_BIND, NULL) < 0)
                        return -errno;

        int r = change_mount("/", AT_RECURSIVE, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID, 0);
        for (char *const *path = writable; r >= 0 && *path; path++)
                r = change_mount(*path, 0, 0, MOUNT_ATTR_RDONLY);
        if (r >= 0)
                r = mount_devices(device_fds);
        if (r >= 0 && mount("proc", "/proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
                r = -errno;
        return r;
}

static bool is_kept(unsigned capability) {
        for (size_t i = 0; i < ELEMENTSOF(capabilities); i++)
                if (capabilities[i] == capability)
                        return true;
        return false;
}

static int drop_capabilities(void) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

        /* EINVAL: the first one that this kernel does not have. */
        for (unsigned capability = 0; capability < 64; capability++)
                if (!is_kept(capability) && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) {
                        if (errno == EINVAL)
                                break;
                        return -errno;
                }

        /* Of those only that we have ourselves. */
        if (syscall(SYS_capget, &header, data) < 0)
                return -errno;
        uint32_t kept[_LINUX_CAPABILITY_U32S_3] = { 0 };
        for (size_t i = 0; i < ELEMENTSOF(capabilities); i++)
                kept[CAP_TO_INDEX(capabilities[i])] |= CAP_TO_MASK(capabilities[i]);
        for (size_t i = 0; i < ELEMENTSOF(data); i++) {
                data[i].permitted &= kept[i];
                data[i].effective = data[i].permitted;
                data[i].inheritable = 0;
        }
        return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int confine(char *const *writable) {
        int fds[ELEMENTSOF(devices)];

        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                fds[i] = -EBADF;
        int r = clone_devices(fds);
        if (r >= 0)
                r = confine_mounts(writable, fds);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                closep(&fds[i]);
        return r < 0 ? r : drop_capabilities();
}
