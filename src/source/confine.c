/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Confines a program that fetches or unpacks a stranger's data. Called in the sandbox's first process
 * (source/sandbox.c), which is a fork of ours. First it opens by the host's paths (open_tree(2)) everything that the
 * program may see. Then it makes a new root from that, and leaves the old root. It must not open a path that something
 * hostile could have changed: only the writable directories contain hostile files, and they are mounted last. */

#include "source/confine.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/string.h"
#include "source/syscall-filter.h"

/* The system's programs and libraries. Symlinks of the host stay symlinks in the new root. */
static const char *const system_paths[] = {
        "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache", "/etc/alternatives", NULL
};

/* Files to resolve names and check certificates. Not all of /etc/ssl, which has the host's own keys. */
static const char *const network_paths[] = { "/etc/resolv.conf",
                                             "/etc/hosts",
                                             "/etc/host.conf",
                                             "/etc/gai.conf",
                                             "/etc/nsswitch.conf",
                                             "/etc/services",
                                             "/etc/ssl/certs",
                                             "/etc/ssl/openssl.cnf",
                                             "/etc/ca-certificates",
                                             "/etc/pki/ca-trust",
                                             "/etc/pki/tls/certs",
                                             "/etc/crypto-policies",
                                             NULL };

static const char *const device_paths[] = {
        "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", NULL
};

/* Needed to read and write everything that the program sees. */
static const unsigned reader_capabilities[] = { CAP_DAC_OVERRIDE };

/* Needed to give files any owner, mode, time and file capability, and to make device nodes. Without CAP_SYS_ADMIN the
 * program can neither remount anything nor set "trusted." attributes, which mean something to overlayfs and to us.
 * Without CAP_DAC_READ_SEARCH it cannot open files by handle, without a path. */
static const unsigned unpacker_capabilities[] = { CAP_DAC_OVERRIDE, CAP_CHOWN,   CAP_FOWNER,
                                                  CAP_FSETID,       CAP_SETFCAP, CAP_MKNOD };

#define MOUNTS_MAX 64

/* A mount or a symlink of the new root. */
typedef struct Item {
        char *path; /* on the host and in the new root */
        int mount_fd;
        char *link; /* target of a symlink, which has no mount */
        bool directory;
} Item;

#define NO_ITEM                     \
        (Item) {                    \
                .mount_fd = -EBADF, \
        }

static void item_done(Item *item) {
        free(item->path);
        free(item->link);
        closep(&item->mount_fd);
}

typedef struct Root {
        Item items[MOUNTS_MAX];
        size_t n;
        int fd; /* of the new root */
} Root;

static void root_done(Root *root) {
        for (size_t i = 0; i < root->n; i++)
                item_done(root->items + i);
        closep(&root->fd);
}

/* Clones the mount of what is at @path on the host. */
static int take_mount(const char *path, bool recursive, uint64_t attributes, Item *ret) {
        struct mount_attr attr = { .attr_set = attributes };
        unsigned flags = recursive ? AT_RECURSIVE : 0;
        struct stat st;

        _cleanup_close_ int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
        if (fd < 0 || fstat(fd, &st) < 0 || mount_setattr(fd, "", AT_EMPTY_PATH | flags, &attr, sizeof(attr)) < 0)
                return -errno;
        ret->directory = S_ISDIR(st.st_mode);
        ret->mount_fd = TAKE_FD(fd);
        return 0;
}

static int take_link(const char *path, Item *ret) {
        char target[PATH_MAX];

        ssize_t n = readlink(path, target, sizeof(target) - 1);
        if (n < 0)
                return -errno;
        target[n] = 0;
        return string_replace(&ret->link, target);
}

/* Adds @item, which will be at @path, to the items of @root, and empties @item. */
static int add_item(Root *root, Item *item, const char *path) {
        if (root->n >= MOUNTS_MAX)
                return -E2BIG;
        int r = string_replace(&item->path, path);
        if (r < 0)
                return r;
        root->items[root->n++] = *item;
        *item = NO_ITEM;
        return 0;
}

/* Adds @path as read-only. With @keep_link, a symlink stays a symlink. A missing @path is left out. */
static int take_readable(Root *root, const char *path, bool keep_link) {
        _cleanup_(item_done) Item item = NO_ITEM;
        int r = -EINVAL;

        if (keep_link)
                r = take_link(path, &item);
        if (r == -EINVAL) /* not a symlink */
                r = take_mount(path, true, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID, &item);
        if (r < 0)
                return r == -ENOENT || r == -ENOTDIR || r == -ELOOP ? 0 : r;
        return add_item(root, &item, path);
}

static int take_list(Root *root, const char *const *paths, bool keep_links) {
        for (; paths && *paths; paths++) {
                int r = take_readable(root, *paths, keep_links);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int take_exactly(Root *root, const char *path, uint64_t attributes) {
        _cleanup_(item_done) Item item = NO_ITEM;

        int r = take_mount(path, false, attributes, &item);
        return r < 0 ? r : add_item(root, &item, path);
}

static int take_tree(Root *root, const char *tree, const char *place) {
        _cleanup_(item_done) Item item = NO_ITEM;

        int r = take_mount(tree, false, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
                           &item);
        return r < 0 ? r : add_item(root, &item, place);
}

/* Adds the program. It may be a symlink out of /usr or into it, so its real path is added, too. */
static int take_program(Root *root, const char *program) {
        _cleanup_free_ char *path = NULL;

        int r = program_find(program, &path);
        if (r < 0)
                return r == -ENOENT ? 0 : r; /* the start of the program will report it */
        _cleanup_free_ char *real = realpath(path, NULL);
        if (*path == '/' && !startswith(path, "/usr/"))
                r = take_readable(root, path, false);
        if (r < 0)
                return r;
        if (real && !startswith(real, "/usr/") && !streq(real, path))
                r = take_readable(root, real, false);
        return r;
}

static int take_all(Root *root, const Confinement *confinement, const char *program) {
        int r = take_list(root, system_paths, true);
        if (r < 0)
                return r;
        if (confinement->online)
                r = take_list(root, network_paths, false);
        if (r < 0)
                return r;
        r = take_program(root, program);
        if (r < 0)
                return r;
        r = take_list(root, (const char *const *) confinement->readable, false);
        if (r < 0)
                return r;
        for (const char *const *path = device_paths; *path; path++) {
                r = take_exactly(root, *path, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
                if (r < 0)
                        return r;
        }
        for (char *const *path = confinement->writable; *path; path++) {
                r = take_exactly(root, *path, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
                if (r < 0)
                        return r;
        }
        return confinement->tree ? take_tree(root, confinement->tree, confinement->tree_at) : 0;
}

/* Makes the missing directories of a path in the new root; with @whole, also the last one. */
static int make_parents(int root_fd, const char *path, bool whole) {
        char part[PATH_MAX];

        if (snprintf(part, sizeof(part), "%s", path + 1) >= (int) sizeof(part))
                return -ENAMETOOLONG;
        for (char *slash = part; (slash = strchr(slash, '/')); slash++) {
                *slash = 0;
                if (*part && mkdirat(root_fd, part, 0755) < 0 && errno != EEXIST)
                        return -errno;
                *slash = '/';
        }
        return whole && mkdirat(root_fd, part, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int place(int root_fd, const Item *item) {
        _cleanup_close_ int there = open_in_root(root_fd, item->path, O_PATH);

        if (there < 0) {
                int r = make_parents(root_fd, item->path, item->directory);
                if (r < 0)
                        return r;
        }
        if (item->link)
                return there < 0 && symlinkat(item->link, root_fd, item->path + 1) < 0 ? -errno : 0;
        if (there < 0 && !item->directory) {
                _cleanup_close_ int fd = openat(root_fd, item->path + 1, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
                if (fd < 0)
                        return -errno;
        }
        if (there < 0)
                there = open_in_root(root_fd, item->path, O_PATH);
        if (there < 0)
                return there;
        return move_mount(item->mount_fd, "", there, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ?
                       -errno :
                       0;
}

/* Mounts an empty file system, the new root, over @covered, whose path is not needed any more. */
static int mount_root(Root *root, const char *covered) {
        if (mount("tmpfs", covered, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=1m,nr_inodes=1k") < 0)
                return -errno;
        root->fd = open(covered, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root->fd < 0 || fchdir(root->fd) < 0 || mkdir("proc", 0555) < 0)
                return -errno;
        /* Mounted now, while the host's /proc is still visible: in a container, the kernel requires that. */
        if (mount("proc", "proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
                return -errno;
        return 0;
}

static int enter_root(void) {
        struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

        /* The old root is on top of the new one for a moment (pivot_root(2)). */
        if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0 ||
            mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr)) < 0)
                return -errno;
        return 0;
}

static int confine_files(const Confinement *confinement, const char *program) {
        _cleanup_(root_done) Root root = { .fd = -EBADF };

        /* Private, so that later mounts of the host do not appear here. */
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -errno;
        int r = take_all(&root, confinement, program);
        if (r < 0)
                return r;
        r = mount_root(&root, confinement->writable[0]);
        if (r < 0)
                return r;
        for (size_t i = 0; i < root.n; i++) {
                r = place(root.fd, root.items + i);
                if (r < 0)
                        return r;
        }
        if (symlinkat("/proc/self/fd", root.fd, "dev/fd") < 0)
                return -errno;
        return enter_root();
}

static bool is_kept(const unsigned *kept, size_t n, unsigned capability) {
        for (size_t i = 0; i < n; i++)
                if (kept[i] == capability)
                        return true;
        return false;
}

static int drop_capabilities(const unsigned *kept, size_t n) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
        uint32_t masks[_LINUX_CAPABILITY_U32S_3] = { 0 };

        /* EINVAL: this is the first capability that the kernel does not have. */
        for (unsigned capability = 0; capability < 64; capability++)
                if (!is_kept(kept, n, capability) && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) {
                        if (errno == EINVAL)
                                break;
                        return -errno;
                }

        /* Keep only capabilities that we have ourselves. */
        if (syscall(SYS_capget, &header, data) < 0)
                return -errno;
        for (size_t i = 0; i < n; i++)
                masks[CAP_TO_INDEX(kept[i])] |= CAP_TO_MASK(kept[i]);
        for (size_t i = 0; i < ELEMENTSOF(data); i++) {
                data[i].permitted &= masks[i];
                data[i].effective = data[i].permitted;
                data[i].inheritable = 0;
        }
        return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int confine(const Confinement *confinement, const char *program) {
        int r = confine_files(confinement, program);
        if (r < 0)
                return r;
        /* This process is a copy of one that may have secrets of a job in its memory and environment. */
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return -errno;
        r = confinement->any_owner ? drop_capabilities(unpacker_capabilities, ELEMENTSOF(unpacker_capabilities)) :
                                     drop_capabilities(reader_capabilities, ELEMENTSOF(reader_capabilities));
        if (r < 0)
                return r;
        return syscall_filter_install(confinement->unix_sockets ? SYSCALL_SOCKETS_UNIX :
                                      confinement->online       ? SYSCALL_SOCKETS_INTERNET :
                                                                  SYSCALL_SOCKETS_NONE);
}
