/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Checks of `doctor`: features of the kernel, found out by using them. Version numbers say little about what a
 * distribution's kernel, a security module or a container around us lets through. What is tried happens in a child
 * process or in a namespace that goes with it, so nothing of it is left on the host. */

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/string.h"
#include "container/machine.h"
#include "container/userns.h"
#include "doctor/check.h"
#include "machine/part.h"
#include "storage/root-mount.h"

/* Any range will do for trying. */
#define TRIAL_UID UINT32_C(0x7f000000)

/* One job can use up all of them. With so many, that does not happen by mistake. */
#define INOTIFY_SHARED_MIN 1024

static bool needs_users(const Settings *settings) {
        return settings->private_users;
}

static bool needs_seccomp(const Settings *settings) {
        return settings->seccomp;
}

static CheckResult check_kernel(_unused_ const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        struct utsname name;

        if (uname(&name) < 0)
                return check_errno(-errno, ret_detail);
        return check_say(CHECK_OK, ret_detail, "%s %s, %s", name.sysname, name.release, name.machine);
}

static int try_nothing(_unused_ const void *userdata) {
        return 0;
}

static CheckResult check_mount_namespace(_unused_ const Invocation *invocation,
                                         char ret_detail[static CHECK_DETAIL_MAX]) {
        return check_errno(check_in_child(try_nothing, NULL), ret_detail);
}

static int try_process_namespaces(_unused_ const void *userdata) {
        int status;

        if (unshare(CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET) < 0)
                return -errno;
        pid_t pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                _exit(getpid() != 1);
        int r = process_wait(pid, &status);
        return r < 0 ? r : status == 0 ? 0 : -EPROTO;
}

static CheckResult check_process_namespaces(_unused_ const Invocation *invocation,
                                            char ret_detail[static CHECK_DETAIL_MAX]) {
        return check_errno(check_in_child(try_process_namespaces, NULL), ret_detail);
}

static CheckResult check_user_namespace(_unused_ const Invocation *invocation,
                                        char ret_detail[static CHECK_DETAIL_MAX]) {
        _cleanup_close_ int fd = userns_open(TRIAL_UID, UID_BLOCK);
        return check_errno(fd, ret_detail);
}

/* A directory that is surely there, on the file system that has or will have @path. */
static int open_nearest(const char *path) {
        _cleanup_free_ char *copy = strdup(path);

        if (!copy)
                return -ENOMEM;
        for (;;) {
                int fd = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (fd >= 0 || (errno != ENOENT && errno != ENOTDIR))
                        return fd < 0 ? -errno : fd;
                char *slash = strrchr(copy, '/');
                if (!slash)
                        return -ENOENT;
                slash[slash == copy] = 0;
        }
}

static int try_idmapped_mount(const void *root_dir) {
        _cleanup_close_ int userns_fd = userns_open(TRIAL_UID, UID_BLOCK);
        if (userns_fd < 0)
                return userns_fd;
        _cleanup_close_ int dir_fd = open_nearest(root_dir);
        if (dir_fd < 0)
                return dir_fd;
        _cleanup_close_ int mount_fd = mount_clone(dir_fd, "", userns_fd);
        return MIN(mount_fd, 0);
}

static CheckResult check_idmapped_mount(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const char *root_dir = invocation->settings->root_dir;
        int r = check_in_child(try_idmapped_mount, root_dir);

        if (r == -EOPNOTSUPP)
                return check_say(CHECK_MISSING, ret_detail, "not possible on the file system of %s", root_dir);
        return check_errno(r, ret_detail);
}

typedef struct OverlayTrial {
        const char *root_dir;
        bool mapped;
} OverlayTrial;

/* Puts a layer on a tmpfs that nobody else sees over the directory that has or will have the images: the file system
 * matters, for not all can be mapped. */
static int try_overlay(const void *userdata) {
        static const char *const directories[] = { "/tmp/layer", "/tmp/layer/upper", "/tmp/work", "/tmp/root" };
        const OverlayTrial *trial = userdata;
        _cleanup_close_ int userns_fd = -EBADF;
        struct stat st;

        if (trial->mapped && (userns_fd = userns_open(TRIAL_UID, UID_BLOCK)) < 0)
                return userns_fd;
        _cleanup_close_ int image_fd = open_nearest(trial->root_dir);
        if (image_fd < 0)
                return image_fd;
        if (mount("tmpfs", "/tmp", "tmpfs", 0, "mode=0755") < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(directories); i++)
                if (mkdir(directories[i], 0755) < 0)
                        return -errno;
        _cleanup_close_ int layer_fd = open("/tmp/layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int target_fd = open("/tmp/root", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (layer_fd < 0 || target_fd < 0)
                return -errno;

        const StorageMount request = {
                .image_fd = image_fd,
                .layer_fd = layer_fd,
                .layer_path = "/tmp/layer",
                .work_dir = "/tmp/work",
                .target = "/tmp/root",
                .userns_fd = userns_fd,
                .uid_base = trial->mapped ? TRIAL_UID : 0,
                .uid_range = UID_BLOCK,
        };
        int r = overlay_mount(&request, layer_fd, target_fd);
        if (r < 0)
                return r;
        _cleanup_close_ int file_fd = open("/tmp/root/.nspawn-runner-doctor", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                                           0600);
        if (file_fd < 0 || stat("/tmp/root", &st) < 0)
                return -errno;
        return !trial->mapped || st.st_uid - TRIAL_UID < UID_BLOCK ? 0 : -EPROTO;
}

static CheckResult check_overlay_as(const OverlayTrial *trial, char ret_detail[static CHECK_DETAIL_MAX]) {
        int r = check_in_child(try_overlay, trial);

        if (r == -EOPNOTSUPP)
                return check_say(CHECK_MISSING, ret_detail, "not possible on the file system of %s", trial->root_dir);
        return check_errno(r, ret_detail);
}

static CheckResult check_overlay(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const OverlayTrial trial = { .root_dir = invocation->settings->root_dir };
        return check_overlay_as(&trial, ret_detail);
}

static CheckResult check_mapped_overlay(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        const OverlayTrial trial = { .root_dir = invocation->settings->root_dir, .mapped = true };
        return check_overlay_as(&trial, ret_detail);
}

static CheckResult check_openat2(_unused_ const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        _cleanup_close_ int dir_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return check_errno(-errno, ret_detail);
        _cleanup_close_ int fd = open_in_root(dir_fd, "../..", O_PATH | O_DIRECTORY);
        return check_errno(fd, ret_detail);
}

static CheckResult check_pidfd(_unused_ const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        _cleanup_close_ int fd = pidfd_open_cloexec(getpid());
        return check_errno(fd < 0 ? fd : pidfd_signal(fd, 0), ret_detail);
}

static CheckResult check_memfd(_unused_ const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        _cleanup_close_ int fd = memfd_new_sealed("doctor", "x", 1);
        return check_errno(fd, ret_detail);
}

static int try_seccomp(_unused_ const void *userdata) {
        struct sock_filter allow_all[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
        struct sock_fprog program = { .len = ELEMENTSOF(allow_all), .filter = allow_all };

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
                return -errno;
        return 0;
}

static CheckResult check_seccomp(_unused_ const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        return check_errno(check_in_child(try_seccomp, NULL), ret_detail);
}

static CheckResult check_inotify(const Invocation *invocation, char ret_detail[static CHECK_DETAIL_MAX]) {
        _cleanup_free_ char *text = NULL, *library = NULL;
        bool shared = !invocation->settings->private_users || part_find_preload(&library) < 0;

        int r = file_read_at(AT_FDCWD, "/proc/sys/fs/inotify/max_user_instances", 64, &text, NULL);
        if (r < 0)
                return check_errno(r, ret_detail);
        unsigned long n = strtoul(text, NULL, 10);
        return check_say(shared && n < INOTIFY_SHARED_MIN ? CHECK_NOTE : CHECK_OK, ret_detail, "%lu for %s", n,
                         shared ? "root of the host and all jobs together" : "each job");
}

const Check doctor_kernel_checks[] = {
        { "kernel", check_kernel, NULL, "its version cannot be read", NULL },
        { "mount namespaces", check_mount_namespace, NULL, "each job's file system is mounted in one of its own",
          "run as root, outside of restricted containers" },
        { "process, network and host name namespaces", check_process_namespaces, NULL, "containers consist of them",
          "run as root, outside of restricted containers" },
        { "user namespaces", check_user_namespace, needs_users, "they keep root of a job from being root of the host",
          "allow them (sysctl user.max_user_namespaces), or set private_users: no" },
        { "id-mapped mounts", check_idmapped_mount, needs_users, "they show an image with the owners a job has",
          "use Linux 5.12 or newer and a file system such as ext4, xfs or btrfs, or set private_users: no" },
        { "overlayfs", check_overlay, NULL, "it keeps what jobs change apart from their image",
          "load the module (modprobe overlay), or use a kernel that has it" },
        { "overlayfs on id-mapped mounts", check_mapped_overlay, needs_users, "jobs get their images that way",
          "use Linux 5.19 or newer, or set private_users: no" },
        { "openat2", check_openat2, NULL, "it keeps paths inside of an image", "use Linux 5.6 or newer" },
        { "process descriptors", check_pidfd, NULL, "nspawn-runner waits for processes and signals them with these",
          "use Linux 5.3 or newer" },
        { "sealed memory files", check_memfd, NULL, "they carry scripts into the container",
          "use Linux 3.17 or newer" },
        { "seccomp filters", check_seccomp, needs_seccomp, "they refuse system calls that jobs do not need",
          "use a kernel with CONFIG_SECCOMP_FILTER, or set seccomp: no" },
        { "inotify instances", check_inotify, check_optional, "one job can use up those of all others",
          "raise the limit: sysctl fs.inotify.max_user_instances=8192" },
        { 0 },
};
