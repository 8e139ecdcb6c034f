/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Opens and mounts what a container gets of the host. `supervise` calls this once, after the root is mounted and
 * before systemd-nspawn starts; `doctor` asks whether it would work. Sources may be in directories that other jobs
 * write to: nothing here uses a path of theirs twice, follows a symlink, or opens what it found for more than
 * looking. */

#include "container/bind.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "base/file-system.h"
#include "base/fs.h"
#include "base/string.h"
#include "config/binds.h"
#include "container/bind-target.h"
#include "container/userns.h"

/* Nodes and mount points, and what a job puts into directories of /run that we made. */
#define BINDS_TMPFS_OPTIONS "mode=0700,size=64m,nr_inodes=10000"

/* Any users will do for trying. */
#define BIND_TRIAL_UID UINT32_C(0x7f000000)

typedef struct Bind {
        char *source;
        const char *target;
        bool read_only;
        int fd; /* the source, O_PATH */
        struct stat st;
} Bind;

#define BIND_NONE            \
        (Bind) {             \
                .fd = -EBADF \
        }

static void bind_done(Bind *bind) {
        free(bind->source);
        closep(&bind->fd);
}
#define _cleanup_bind_ _cleanup_(bind_done)

static const char *bind_setting(const Bind *bind) {
        return bind->read_only ? "bind_ro" : "bind";
}

/* Says what is wrong with @bind, as the rest of a sentence. Returns @error. */
static int fail(const Bind *bind, int error, char **reterr_problem, const char *format, ...) _printf_(4, 5);
static int fail(const Bind *bind, int error, char **reterr_problem, const char *format, ...) {
        _cleanup_free_ char *why = NULL;
        char *problem;
        va_list ap;

        va_start(ap, format);
        if (string_vprintf(&why, format, ap) < 0)
                why = NULL;
        va_end(ap);
        if (why &&
            string_printf(&problem, "cannot bind '%s' (setting %s): %s", bind->source, bind_setting(bind), why) >= 0)
                *reterr_problem = problem;
        return error;
}

static bool is_device(const struct stat *st) {
        return S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
}

/* Names the part of the source that is a symlink. */
static int fail_symlink(const Bind *bind, char **reterr_problem) {
        _cleanup_free_ char *part = strdup(bind->source), *real = realpath(bind->source, NULL);

        for (char *end = part; end && *end;) {
                struct stat st;

                end += 1 + strcspn(end + 1, "/");
                const char kept = *end;
                *end = 0;
                if (lstat(part, &st) >= 0 && S_ISLNK(st.st_mode))
                        break;
                *end = kept;
        }
        if (!part)
                return -ENOMEM;
        if (!real)
                return fail(bind, -ELOOP, reterr_problem, "'%s' is a symlink, which is not followed", part);
        return fail(bind, -ELOOP, reterr_problem,
                    "'%s' is a symlink, which is not followed, as a job could have made it. If it is yours, write '%s' "
                    "in the setting",
                    part, real);
}

static int open_source(Bind *bind, char **reterr_problem) {
        /* As a directory first: that has an automounter mount what belongs there. */
        bind->fd = open_without_symlinks(AT_FDCWD, bind->source, O_PATH | O_DIRECTORY);
        if (bind->fd == -ENOTDIR)
                bind->fd = open_without_symlinks(AT_FDCWD, bind->source, O_PATH);
        if (bind->fd >= 0)
                return fstat(bind->fd, &bind->st) < 0 ? -errno : 0;
        switch (bind->fd) {
        case -ELOOP:
                return fail_symlink(bind, reterr_problem);
        case -ENOENT:
                return fail(bind, -ENOENT, reterr_problem,
                            "there is no such file or directory on the host. Make it, or correct the setting");
        default:
                return fail(bind, bind->fd, reterr_problem, "%s", strerror(-bind->fd));
        }
}

static int parse_and_open(const char *text, bool read_only, Bind *ret, char **reterr_problem) {
        ret->source = bind_source(text);
        if (!ret->source)
                return -ENOMEM;
        ret->target = bind_target(text);
        ret->read_only = read_only;
        return open_source(ret, reterr_problem);
}

/* The kernel says EINVAL where the file system cannot be mapped, and EPERM where the mount is mapped already. */
static int fail_mapping(const Bind *bind, int error, char **reterr_problem) {
        char buffer[FILE_SYSTEM_NAME_MAX];
        const char *name = file_system_name(bind->fd, buffer);

        if (error == -EINVAL)
                return fail(bind, error, reterr_problem,
                            "its file system (%s) cannot show files with the users of a job (id-mapped mounts) on this "
                            "kernel. Bind something that is on ext4, XFS or btrfs%s",
                            name, path_is_below(bind->source, "/dev") ? ", or a device by itself" : "");
        if (error == -EPERM)
                return fail(bind, error, reterr_problem,
                            "it is on a mount (%s) that already maps users, which the kernel does "
                            "not do twice",
                            name);
        return fail(bind, error, reterr_problem, "cannot show it with the users of a job: %s", strerror(-error));
}

/* A mount of the source that is attached nowhere yet; @userns_fd is what maps it, or negative. */
static int clone_source(const Bind *bind, int userns_fd, char **reterr_problem) {
        const bool mapped = userns_fd >= 0;
        /* What is mounted below the source may be of kinds that cannot be mapped: only as it is, it comes along. */
        const unsigned recursive = mapped ? 0 : AT_RECURSIVE;
        struct mount_attr attr = { .attr_set = bind->read_only ? MOUNT_ATTR_RDONLY : 0 };

        if (mapped) {
                attr.attr_set |= MOUNT_ATTR_IDMAP | MOUNT_ATTR_NODEV;
                attr.userns_fd = (uint64_t) userns_fd;
                /* Nor does what the host mounts there later. */
                attr.propagation = MS_PRIVATE;
        }
        _cleanup_close_ int fd = open_tree(bind->fd, "",
                                           OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | recursive);
        if (fd < 0)
                return fail(bind, -errno, reterr_problem, "cannot mount it again: %s", strerror(errno));
        if (attr.attr_set != 0 && mount_setattr(fd, "", AT_EMPTY_PATH | recursive, &attr, sizeof(attr)) < 0)
                return mapped ? fail_mapping(bind, -errno, reterr_problem) :
                                fail(bind, -errno, reterr_problem, "cannot make it read-only: %s", strerror(errno));
        return TAKE_FD(fd);
}

/* The namespace that maps the source for a job whose users are @base and @range above: a descriptor, or -errno. */
static int open_mapping(const Bind *bind, uid_t base, uid_t range) {
        return bind->read_only ? userns_open(base, range) : userns_open_owner(bind->st.st_uid, bind->st.st_gid, base);
}

static int clone_for(const Bind *bind, bool private_users, uid_t base, uid_t range, char **reterr_problem) {
        _cleanup_close_ int userns_fd = -EBADF;

        if (private_users) {
                userns_fd = open_mapping(bind, base, range);
                if (userns_fd < 0)
                        return fail(bind, userns_fd, reterr_problem, "cannot make a user namespace for it: %s",
                                    strerror(-userns_fd));
        }
        return clone_source(bind, userns_fd, reterr_problem);
}

static uid_t job_root(const BindRequest *request) {
        return request->machine->settings.private_users ? request->uid_base : 0;
}

static int attach_mount(const Bind *bind, int binds_fd, const char *name, const BindRequest *request,
                        char **reterr_problem) {
        _cleanup_close_ int mount_fd = clone_for(bind, request->machine->settings.private_users, request->uid_base,
                                                 request->uid_range, reterr_problem);
        if (mount_fd < 0)
                return mount_fd;
        if (S_ISDIR(bind->st.st_mode)) {
                if (mkdirat(binds_fd, name, 0700) < 0)
                        return -errno;
        } else {
                _cleanup_close_ int fd = openat(binds_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                if (fd < 0)
                        return -errno;
        }
        return move_mount(mount_fd, "", binds_fd, name, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

/* A node of the same device. With private users it is the job's root's, or, to be read only, nobody's: root of a job has
 * no power over files of users that it does not have. */
static int make_node(const Bind *bind, int binds_fd, const char *name, const BindRequest *request,
                     char **reterr_problem) {
        mode_t mode = bind->st.st_mode & (bind->read_only ? 0444 : 0666);
        uid_t uid = bind->st.st_uid;
        gid_t gid = bind->st.st_gid;

        if (request->machine->settings.private_users && bind->read_only) {
                uid = gid = 0;
                mode = 0444;
        } else if (request->machine->settings.private_users) {
                uid = gid = request->uid_base;
                mode |= 0600;
        }
        if (mknodat(binds_fd, name, (bind->st.st_mode & S_IFMT) | mode, bind->st.st_rdev) < 0)
                return fail(bind, -errno, reterr_problem, "cannot make a node for the device: %s", strerror(errno));
        if (fchownat(binds_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 || fchmodat(binds_fd, name, mode, 0) < 0)
                return -errno;
        return 0;
}

/* Where systemd-nspawn mounts something over the tree, it makes the targets. */
static bool target_is_in_tree(const char *target) {
        static const char *const mounted[] = { "/dev", "/proc", "/run", "/sys" };

        for (size_t i = 0; i < ELEMENTSOF(mounted); i++)
                if (path_is_below(target, mounted[i]) || streq(target, mounted[i]))
                        return false;
        return true;
}

static bool target_is_below_any(char *const *binds, const char *target) {
        for (; binds && *binds; binds++)
                if (path_is_below(target, bind_target(*binds)))
                        return true;
        return false;
}

/* A target that another bind mounts something over is looked for there. */
static bool target_is_in_bind(const Machine *machine, const char *target) {
        return target_is_below_any(machine->settings.bind, target) ||
               target_is_below_any(machine->settings.bind_ro, target);
}

/* NAME of a target /run/NAME/REST, and "/REST": false for other targets, and for those below what is systemd-nspawn's. */
static bool split_run_target(const Machine *machine, const char *target, char ret_name[static NAME_MAX + 1],
                             const char **ret_rest) {
        const char *name = startswith(target, "/run/"), *rest = name ? strchr(name, '/') : NULL;

        if (!rest || rest - name > NAME_MAX || target_is_in_bind(machine, target))
                return false;
        snprintf(ret_name, NAME_MAX + 1, "%.*s", (int) (rest - name), name);
        *ret_rest = rest;
        return !streq(ret_name, "host") && !streq(ret_name, "systemd");
}

static int add_run_directories(const Machine *machine, char *const *binds, char ***names) {
        for (; binds && *binds; binds++) {
                char name[NAME_MAX + 1];
                const char *rest;
                bool known = false;

                if (!split_run_target(machine, bind_target(*binds), name, &rest))
                        continue;
                for (char **other = *names; other && *other; other++)
                        known |= streq(*other, name);
                int r = known ? 0 : strv_extend(names, name);
                if (r < 0)
                        return r;
        }
        return 0;
}

int bind_run_directories(const Machine *machine, char ***names) {
        int r = add_run_directories(machine, machine->settings.bind, names);

        return r < 0 ? r : add_run_directories(machine, machine->settings.bind_ro, names);
}

/* Where the target is to be made: the job's root, or a directory for /run; a descriptor, with the path from there in
 * @ret_path; -ENOENT: it is not ours to make. */
static int open_target_root(const Bind *bind, int binds_fd, const BindRequest *request, const char **ret_path) {
        char directory[NAME_MAX + 1], name[NAME_MAX + sizeof("run-")];

        *ret_path = bind->target;
        if (target_is_in_tree(bind->target) && !target_is_in_bind(request->machine, bind->target))
                return fcntl(request->root_fd, F_DUPFD_CLOEXEC, 3);
        if (!split_run_target(request->machine, bind->target, directory, ret_path))
                return -ENOENT;
        snprintf(name, sizeof(name), "run-%s", directory);
        int fd = open_directory_at(binds_fd, name, true, 0755);
        if (fd >= 0 && fchown(fd, job_root(request), job_root(request)) < 0) {
                close(fd);
                return -EPERM;
        }
        return fd;
}

static int make_target(const Bind *bind, int binds_fd, const BindRequest *request, char **reterr_problem) {
        const Machine *machine = request->machine;
        const bool directory = S_ISDIR(bind->st.st_mode);
        const char *path;

        _cleanup_close_ int root_fd = open_target_root(bind, binds_fd, request, &path);
        if (root_fd == -ENOENT)
                return 0;
        int r = root_fd < 0 ? root_fd : bind_target_make(root_fd, path, directory, job_root(request));
        if (r == -ENOTDIR && directory)
                return fail(bind, r, reterr_problem,
                            "it is a directory, but '%s' or a directory above that is none in image '%s'", bind->target,
                            machine->image);
        if (r == -EISDIR)
                return fail(bind, r, reterr_problem, "'%s' in image '%s' is a directory, but the source is not",
                            bind->target, machine->image);
        if (r < 0)
                return fail(bind, r, reterr_problem, "cannot make '%s' in the job's layer: %s", bind->target,
                            strerror(-r));
        return 0;
}

static int prepare_one(const char *text, bool read_only, size_t number, int binds_fd, const BindRequest *request,
                       char **reterr_problem) {
        _cleanup_bind_ Bind bind = BIND_NONE;
        char name[32];

        int r = parse_and_open(text, read_only, &bind, reterr_problem);
        if (r < 0)
                return r;
        r = make_target(&bind, binds_fd, request, reterr_problem);
        if (r < 0)
                return r;
        snprintf(name, sizeof(name), "%zu", number);
        r = is_device(&bind.st) ? make_node(&bind, binds_fd, name, request, reterr_problem) :
                                  attach_mount(&bind, binds_fd, name, request, reterr_problem);
        return r < 0 && !*reterr_problem ? fail(&bind, r, reterr_problem, "%s", strerror(-r)) : r;
}

/* A tmpfs of the job's own: a descriptor, or -errno. */
static int make_directory(const BindRequest *request) {
        _cleanup_free_ char *path = NULL;

        if (mkdirat(request->job_fd, BINDS_DIRECTORY, 0700) < 0)
                return -errno;
        int r = string_printf(&path, "%s/" BINDS_DIRECTORY, request->machine->directory);
        if (r < 0)
                return r;
        if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NOEXEC, BINDS_TMPFS_OPTIONS) < 0)
                return -errno;
        return open_directory_at(AT_FDCWD, path, false, 0);
}

int bind_prepare(const BindRequest *request, char **reterr_problem) {
        const Machine *machine = request->machine;
        const size_t n = strv_length(machine->settings.bind), n_all = n + strv_length(machine->settings.bind_ro);

        if (n_all == 0)
                return 0;
        _cleanup_close_ int binds_fd = make_directory(request);
        if (binds_fd < 0)
                return binds_fd;
        for (size_t i = 0; i < n_all; i++) {
                int r = prepare_one(i < n ? machine->settings.bind[i] : machine->settings.bind_ro[i - n], i >= n, i,
                                    binds_fd, request, reterr_problem);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int try_one(const char *text, bool read_only, bool private_users, char **reterr_problem) {
        _cleanup_bind_ Bind bind = BIND_NONE;

        int r = parse_and_open(text, read_only, &bind, reterr_problem);
        if (r < 0 || is_device(&bind.st))
                return r;
        _cleanup_close_ int mount_fd = clone_for(&bind, private_users, BIND_TRIAL_UID, UID_BLOCK, reterr_problem);
        return MIN(mount_fd, 0);
}

int bind_try(const Settings *settings, char **reterr_problem) {
        int r = 0;

        for (char *const *bind = settings->bind; bind && *bind; bind++) {
                r = try_one(*bind, false, settings->private_users, reterr_problem);
                if (r < 0)
                        return r;
        }
        for (char *const *bind = settings->bind_ro; bind && *bind; bind++) {
                r = try_one(*bind, true, settings->private_users, reterr_problem);
                if (r < 0)
                        return r;
        }
        return r;
}

bool bind_is_device(const char *text, char ret[static BIND_DEVICE_MAX]) {
        _cleanup_bind_ Bind bind = BIND_NONE;
        _cleanup_free_ char *problem = NULL;

        if (parse_and_open(text, false, &bind, &problem) < 0 || !is_device(&bind.st))
                return false;
        /* systemd reads the numbers off such a path; others it takes only below /dev, and looks again what is there. */
        snprintf(ret, BIND_DEVICE_MAX, "/dev/%s/%u:%u", S_ISCHR(bind.st.st_mode) ? "char" : "block",
                 major(bind.st.st_rdev), minor(bind.st.st_rdev));
        return true;
}
