/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The helper's root, which GitLab's own stages run in if the image lacks what they need. step.c calls
 * root_enter_helper() in the child that becomes the step, as after vfork(): memory is the parent's, so nothing may be
 * allocated, and the agent waits. A job may have changed anything in its container: files are only opened with O_PATH,
 * and a link leads nowhere but into the container or the helper's tree, which the job may change anyway. */

#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"

typedef enum Kind {
        KIND_ANY,
        KIND_DIRECTORY,
        KIND_FILE, /* a regular one */
} Kind;

/* What every step in the helper gets of its container, if the container has it and it is of this kind. */
static const struct {
        const char *path;
        Kind kind;
} always[] = {
        { "/run", KIND_DIRECTORY }, /* first, as it has the helper's tree in it */
        { "/proc", KIND_DIRECTORY }, { "/sys", KIND_DIRECTORY },  { "/dev", KIND_DIRECTORY },
        { "/tmp", KIND_DIRECTORY },  { "/etc/hosts", KIND_FILE }, { "/etc/resolv.conf", KIND_FILE },
};

void root_make_directory(const char *path, const Account *account) {
        char parent[PATH_MAX];

        if (path[0] != '/')
                return;
        for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                snprintf(parent, sizeof(parent), "%.*s", (int) (slash - path), path);
                (void) mkdir(parent, 0755);
        }
        if (mkdir(path, 0755) >= 0 && account->uid != 0)
                (void) lchown(path, account->uid, account->gid);
}

/* Makes the last part of a path in @parent_fd. A symlink with that name is removed: the tree is thrown away with the
 * container. */
static int make_last(int parent_fd, const char *name, bool directory) {
        struct stat st;

        if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) >= 0) {
                if (!S_ISLNK(st.st_mode))
                        return 0;
                if (unlinkat(parent_fd, name, 0) < 0)
                        return -errno;
        }
        if (directory)
                return mkdirat(parent_fd, name, 0755) < 0 ? -errno : 0;
        int fd = openat(parent_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return -errno;
        close(fd);
        return 0;
}

/* The place for @path in the helper's tree, made if need be with all above it: a descriptor, or -errno. */
static int open_target(int helper_fd, const char *path, bool directory) {
        char part[PATH_MAX];
        const char *name = path;

        int parent_fd = open_in_root(helper_fd, "/", O_PATH | O_DIRECTORY);
        for (;;) {
                _cleanup_close_ int fd = parent_fd;
                char component[NAME_MAX + 1];

                name += strspn(name, "/");
                size_t n = strcspn(name, "/"), length = (size_t) (name - path) + n;
                bool last = !name[n + strspn(name + n, "/")];
                if (fd < 0)
                        return fd;
                if (n == 0 || n > NAME_MAX || length >= sizeof(part))
                        return -EINVAL;
                snprintf(component, sizeof(component), "%.*s", (int) n, name);
                snprintf(part, sizeof(part), "%.*s", (int) length, path);
                if (last) {
                        int r = make_last(fd, component, directory);
                        return r < 0 ? r : open_in_root(helper_fd, part, O_PATH);
                }
                parent_fd = open_in_root(helper_fd, part, O_PATH | O_DIRECTORY);
                if (parent_fd == -ENOENT && mkdirat(fd, component, 0755) >= 0)
                        parent_fd = open_in_root(helper_fd, part, O_PATH | O_DIRECTORY);
                name += n;
        }
}

/* A mount of @fd with all that is mounted below it, attached nowhere yet. */
static int clone_mount(int fd) {
        int mount_fd = (int) syscall(SYS_open_tree, fd, "",
                                     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);

        return mount_fd < 0 ? -errno : mount_fd;
}

static int attach_mount(int mount_fd, int target_fd) {
        const unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

        return syscall(SYS_move_mount, mount_fd, "", target_fd, "", flags) < 0 ? -errno : 0;
}

/* Mounts what the container has at @path, with all that is mounted below it, at the same place of the helper's tree. */
static int share(int helper_fd, const char *path, Kind kind) {
        struct stat st;

        _cleanup_close_ int source_fd = open(path, O_PATH | O_CLOEXEC);
        if (source_fd < 0)
                return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
        if (fstat(source_fd, &st) < 0)
                return -errno;
        if ((kind == KIND_DIRECTORY && !S_ISDIR(st.st_mode)) || (kind == KIND_FILE && !S_ISREG(st.st_mode)))
                return 0;
        _cleanup_close_ int mount_fd = clone_mount(source_fd);
        if (mount_fd < 0)
                return mount_fd;
        _cleanup_close_ int target_fd = open_target(helper_fd, path, S_ISDIR(st.st_mode));
        return target_fd < 0 ? target_fd : attach_mount(mount_fd, target_fd);
}

/* The helper's tree as a mount of this namespace's own: one that systemd-nspawn made cannot become the root, because it came
 * from a more privileged namespace (mount_namespaces(7)). */
static int open_helper(void) {
        _cleanup_close_ int fd = open(HELPER_INSIDE, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        _cleanup_close_ int helper_fd = clone_mount(fd);
        if (helper_fd < 0)
                return helper_fd;
        int r = attach_mount(helper_fd, fd);
        return r < 0 ? r : TAKE_FD(helper_fd);
}

/* Makes the helper's root and enters it. 0 or -errno. */
static int make_helper(char *const *shared) {
        /* Later mounts in the container, below what is shared, show up here, too, as with services of systemd. */
        if (mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL) < 0 || unshare(CLONE_NEWNS) < 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
                return -errno;
        /* Not before: what was opened in the container's namespace cannot be mounted here. */
        _cleanup_close_ int helper_fd = open_helper();
        if (helper_fd < 0)
                return helper_fd;
        for (size_t i = 0; i < ELEMENTSOF(always); i++) {
                int r = share(helper_fd, always[i].path, always[i].kind);
                if (r < 0)
                        return r;
        }
        for (; *shared; shared++) {
                int r = share(helper_fd, *shared, KIND_ANY);
                if (r < 0)
                        return r;
        }
        /* pivot_root(2) says how the old root gets out of the way without a place of its own. */
        if (fchdir(helper_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
                return -errno;
        return 0;
}

/* Making and removing this root takes as long as starting a shell, so later steps enter the first one's. */
int root_enter_helper(const HelperRoot *helper, char *const *shared, const Account *account) {
        int r = helper->namespace_fd < 0                     ? make_helper(shared) :
                setns(helper->namespace_fd, CLONE_NEWNS) < 0 ? -errno :
                                                               0;
        if (r < 0)
                return r;
        if (chdir("/") < 0)
                return -errno;
        root_make_directory(account->home, account);
        return 0;
}

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
static void mix(uint64_t *hash, uint64_t value) {
        for (unsigned i = 0; i < 8; i++)
                *hash = (*hash ^ ((value >> (8 * i)) & 0xff)) * UINT64_C(0x100000001b3);
}

static void mix_path(uint64_t *hash, const char *path) {
        struct stat st;

        for (const char *p = path; *p; p++)
                mix(hash, (unsigned char) *p);
        if (stat(path, &st) < 0) {
                mix(hash, (uint64_t) errno);
                return;
        }
        mix(hash, st.st_dev);
        mix(hash, st.st_ino);
        mix(hash, st.st_mode & S_IFMT);
}

void root_look_helper(HelperRoot *helper, char *const *shared) {
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        mix_path(&hash, HELPER_INSIDE);
        for (size_t i = 0; i < ELEMENTSOF(always); i++)
                mix_path(&hash, always[i].path);
        for (; *shared; shared++)
                mix_path(&hash, *shared);
        if (hash != helper->seen)
                root_forget_helper(helper);
        helper->seen = hash;
}

void root_forget_helper(HelperRoot *helper) {
        closep(&helper->namespace_fd);
}

void root_keep_helper(const Surroundings *surroundings, pid_t pid) {
        HelperRoot *helper = surroundings->helper;
        char path[64];

        if (helper->namespace_fd >= 0)
                return;
        snprintf(path, sizeof(path), "%d/ns", (int) pid);
        _cleanup_close_ int directory_fd = surroundings_open_proc(surroundings, path, O_PATH | O_DIRECTORY);
        if (directory_fd >= 0)
                helper->namespace_fd = openat(directory_fd, "mnt", O_RDONLY | O_CLOEXEC);
}
