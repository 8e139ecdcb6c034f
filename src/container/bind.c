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
#include "container/volume.h"
#include "tree/check.h"

/* Nodes and mount points, and what a job puts into directories of /run that we made. */
#define BINDS_TMPFS_OPTIONS "mode=0700,size=64m,nr_inodes=10000"

/* For trying, any range of users will do. */
#define BIND_TRIAL_UID UINT32_C(0x7f000000)

typedef enum BindKind { BIND_WRITABLE, BIND_READ_ONLY, BIND_VOLUME } BindKind;

typedef struct Bind {
        char *source, *target;
        BindKind kind;
        int fd; /* the source, O_PATH */
        struct stat st;
} Bind;

#define BIND_NONE            \
        (Bind) {             \
                .fd = -EBADF \
        }

static void bind_done(Bind *bind) {
        free(bind->source);
        free(bind->target);
        closep(&bind->fd);
}
#define _cleanup_bind_ _cleanup_(bind_done)

/* Says what is wrong with @bind: completes a sentence. Returns @error. */
static int fail(const Bind *bind, int error, Problem *reterr_problem, const char *format, ...) _printf_(4, 5);
static int fail(const Bind *bind, int error, Problem *reterr_problem, const char *format, ...) {
        Problem why = { 0 };
        va_list ap;

        va_start(ap, format);
        (void) problem_vset(&why, error, format, ap);
        va_end(ap);
        if (bind->kind == BIND_VOLUME)
                return problem_set(reterr_problem, error, "cannot mount volume '%s' on '%s': %s", bind->source,
                                   bind->target, why.text);
        return problem_set(reterr_problem, error, "cannot bind '%s' (setting %s): %s", bind->source,
                           bind->kind == BIND_READ_ONLY ? "bind_ro" : "bind", why.text);
}

static bool is_device(const struct stat *st) {
        return S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
}

/* Names the part of the source that is a symlink. */
static int fail_symlink(const Bind *bind, Problem *reterr_problem) {
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

static int open_volume(Bind *bind, Problem *reterr_problem) {
        /* The path belongs to the administrator, and so do symlinks in it. */
        bind->fd = open_directory_at(AT_FDCWD, bind->source, false, 0);
        if (bind->fd < 0)
                return fail(bind, bind->fd, reterr_problem, "%m");
        return fstat(bind->fd, &bind->st) < 0 ? -errno : 0;
}

static int open_source(Bind *bind, Problem *reterr_problem) {
        /* As a directory first, so that an automounter mounts what belongs there. */
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
                return fail(bind, bind->fd, reterr_problem, "%m");
        }
}

static int parse_and_open(const char *text, BindKind kind, Bind *ret, Problem *reterr_problem) {
        Volume volume;

        ret->kind = kind;
        if (kind == BIND_VOLUME) {
                int r = volume_parse(text, &volume);
                if (r < 0)
                        return r;
                ret->source = volume.source;
                ret->target = volume.target;
                return open_volume(ret, reterr_problem);
        }
        ret->source = bind_source(text);
        ret->target = strdup(bind_target(text));
        return ret->source && ret->target ? open_source(ret, reterr_problem) : -ENOMEM;
}

/* The kernel says EINVAL where the file system cannot be mapped, and EPERM where the mount is mapped already. */
static int fail_mapping(const Bind *bind, int error, Problem *reterr_problem) {
        char buffer[FILE_SYSTEM_NAME_MAX];
        const char *name = file_system_name(bind->fd, buffer);

        if (error == -EINVAL)
                return fail(bind, error, reterr_problem,
                            "its file system (%s) cannot show files with the users of a job (id-mapped mounts) on this "
                            "kernel. %s on ext4, XFS or btrfs%s",
                            name, bind->kind == BIND_VOLUME ? "It must be" : "Bind something that is",
                            path_is_below(bind->source, "/dev") ? ", or a device by itself" : "");
        if (error == -EPERM)
                return fail(bind, error, reterr_problem,
                            "it is on a mount (%s) that already maps users, which the kernel does "
                            "not do twice",
                            name);
        return fail(bind, error, reterr_problem, "cannot show it with the users of a job: %m");
}

/* A mount of the source that is attached nowhere yet; @userns_fd is what maps it, or negative. */
static int clone_source(const Bind *bind, int userns_fd, Problem *reterr_problem) {
        const bool mapped = userns_fd >= 0;
        /* What is mounted below the source may be of kinds that cannot be mapped: only as it is, it comes along. */
        const unsigned recursive = mapped || bind->kind == BIND_VOLUME ? 0 : AT_RECURSIVE;
        struct mount_attr attr = { .attr_set = bind->kind == BIND_READ_ONLY ? MOUNT_ATTR_RDONLY : 0 };

        if (mapped) {
                attr.attr_set |= MOUNT_ATTR_IDMAP;
                attr.userns_fd = (uint64_t) userns_fd;
        }
        if (recursive == 0) {
                attr.attr_set |= MOUNT_ATTR_NODEV;
                /* Later mounts of the host there must not appear in the container either. */
                attr.propagation = MS_PRIVATE;
        }
        _cleanup_close_ int fd = open_tree(bind->fd, "",
                                           OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | recursive);
        if (fd < 0)
                return fail(bind, -errno, reterr_problem, "cannot mount it again: %m");
        if (attr.attr_set != 0 && mount_setattr(fd, "", AT_EMPTY_PATH | recursive, &attr, sizeof(attr)) < 0)
                return mapped ? fail_mapping(bind, -errno, reterr_problem) :
                                fail(bind, -errno, reterr_problem, "cannot change how it is mounted: %m");
        return TAKE_FD(fd);
}

/* The namespace that maps the source for a job whose users are @base and @range above: a descriptor, or -errno. */
static int open_mapping(const Bind *bind, uid_t base, uid_t range) {
        return bind->kind == BIND_WRITABLE ? userns_open_owner(bind->st.st_uid, bind->st.st_gid, base) :
                                             userns_open(base, range);
}

static int clone_for(const Bind *bind, bool private_users, uid_t base, uid_t range, Problem *reterr_problem) {
        _cleanup_close_ int userns_fd = -EBADF;

        if (private_users) {
                userns_fd = open_mapping(bind, base, range);
                if (userns_fd < 0)
                        return fail(bind, userns_fd, reterr_problem, "cannot make a user namespace for it: %m");
        }
        return clone_source(bind, userns_fd, reterr_problem);
}

static uid_t job_root(const BindRequest *request) {
        return request->machine->settings.private_users ? request->uid_base : 0;
}

static int attach_mount(const Bind *bind, int binds_fd, const char *name, const BindRequest *request,
                        Problem *reterr_problem) {
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

/* Makes a node of the same device. With private users it belongs to the job's root, or, if it is read-only, to
 * nobody: the job's root has no power over files of users that the job does not have. */
static int make_node(const Bind *bind, int binds_fd, const char *name, const BindRequest *request,
                     Problem *reterr_problem) {
        const bool read_only = bind->kind == BIND_READ_ONLY;
        mode_t mode = bind->st.st_mode & (read_only ? 0444 : 0666);
        uid_t uid = bind->st.st_uid;
        gid_t gid = bind->st.st_gid;

        if (request->machine->settings.private_users && read_only) {
                uid = gid = 0;
                mode = 0444;
        } else if (request->machine->settings.private_users) {
                uid = gid = request->uid_base;
                mode |= 0600;
        }
        if (mknodat(binds_fd, name, (bind->st.st_mode & S_IFMT) | mode, bind->st.st_rdev) < 0)
                return fail(bind, -errno, reterr_problem, "cannot make a node for the device: %m");
        if (fchownat(binds_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 || fchmodat(binds_fd, name, mode, 0) < 0)
                return -errno;
        return 0;
}

/* A target that something else is mounted over is looked for there: @targets are all of them. */
static bool target_is_in_bind(char *const *targets, const char *target) {
        for (; targets && *targets; targets++)
                if (path_is_below(target, *targets))
                        return true;
        return false;
}

/* NAME of a target /run/NAME/REST, and "/REST": false for other targets, and for those below what is systemd-nspawn's. */
static bool split_run_target(char *const *targets, const char *target, char ret_name[static NAME_MAX + 1],
                             const char **ret_rest) {
        const char *name = startswith(target, "/run/"), *rest = name ? strchr(name, '/') : NULL;

        if (!rest || rest - name > NAME_MAX || target_is_in_bind(targets, target))
                return false;
        snprintf(ret_name, NAME_MAX + 1, "%.*s", (int) (rest - name), name);
        *ret_rest = rest;
        return !streq(ret_name, "host") && !streq(ret_name, "systemd");
}

int bind_targets(const Machine *machine, char ***ret) {
        char *const *const lists[] = { machine->settings.bind, machine->settings.bind_ro };
        _cleanup_strv_ char **targets = NULL;

        for (size_t i = 0; i < ELEMENTSOF(lists); i++)
                for (char *const *bind = lists[i]; bind && *bind; bind++) {
                        int r = strv_extend(&targets, bind_target(*bind));
                        if (r < 0)
                                return r;
                }
        for (char *const *text = machine->volumes; text && *text; text++) {
                _cleanup_volume_ Volume volume = { 0 };

                int r = volume_parse(*text, &volume);
                if (r < 0)
                        return r;
                r = strv_extend(&targets, volume.target);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(targets);
        return 0;
}

int bind_run_directories(const Machine *machine, char ***names) {
        _cleanup_strv_ char **targets = NULL;

        int r = bind_targets(machine, &targets);
        if (r < 0)
                return r;
        for (char **target = targets; target && *target; target++) {
                char name[NAME_MAX + 1];
                const char *rest;
                bool known = false;

                if (!split_run_target(targets, *target, name, &rest))
                        continue;
                for (char **other = *names; other && *other; other++)
                        known |= streq(*other, name);
                r = known ? 0 : strv_extend(names, name);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Everything that is to be mounted, and where it is prepared. */
typedef struct Preparation {
        const BindRequest *request;
        char **targets;
        int binds_fd;
        size_t n; /* how many are prepared */
} Preparation;

static void preparation_done(Preparation *preparation) {
        strv_free(preparation->targets);
        closep(&preparation->binds_fd);
}

/* Where the target is to be made: the job's root, or a directory for /run; a descriptor, with the path from there in
 * @ret_path; -ENOENT: it is not ours to make. */
static int open_target_root(const Preparation *preparation, const Bind *bind, const char **ret_path) {
        char directory[NAME_MAX + 1], name[NAME_MAX + sizeof(BINDS_RUN)];
        const BindRequest *request = preparation->request;

        *ret_path = bind->target;
        /* Where systemd-nspawn mounts something over the tree, it makes the targets. */
        if (!tree_place_is_hidden(bind->target) && !target_is_in_bind(preparation->targets, bind->target))
                return fd_duplicate(request->root_fd);
        if (!split_run_target(preparation->targets, bind->target, directory, ret_path))
                return -ENOENT;
        snprintf(name, sizeof(name), BINDS_RUN "%s", directory);
        int fd = open_directory_at(preparation->binds_fd, name, true, 0755);
        if (fd >= 0 && fchown(fd, job_root(request), job_root(request)) < 0) {
                int r = -errno;
                close(fd);
                return r;
        }
        return fd;
}

static int make_target(const Preparation *preparation, const Bind *bind, Problem *reterr_problem) {
        const BindRequest *request = preparation->request;
        const Machine *machine = request->machine;
        const bool directory = S_ISDIR(bind->st.st_mode);
        const char *path;

        _cleanup_close_ int root_fd = open_target_root(preparation, bind, &path);
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
                return fail(bind, r, reterr_problem, "cannot make '%s' in the job's layer: %m", bind->target);
        return 0;
}

static int prepare_one(Preparation *preparation, const char *text, BindKind kind, Problem *reterr_problem) {
        _cleanup_bind_ Bind bind = BIND_NONE;
        char name[32];

        int r = parse_and_open(text, kind, &bind, reterr_problem);
        if (r < 0)
                return r;
        r = make_target(preparation, &bind, reterr_problem);
        if (r < 0)
                return r;
        snprintf(name, sizeof(name), "%zu", preparation->n++);
        r = is_device(&bind.st) ?
                    make_node(&bind, preparation->binds_fd, name, preparation->request, reterr_problem) :
                    attach_mount(&bind, preparation->binds_fd, name, preparation->request, reterr_problem);
        return r < 0 && !reterr_problem->text[0] ? fail(&bind, r, reterr_problem, "%m") : r;
}

static int prepare_all(Preparation *preparation, char *const *texts, BindKind kind, Problem *reterr_problem) {
        for (; texts && *texts; texts++) {
                int r = prepare_one(preparation, *texts, kind, reterr_problem);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Makes a tmpfs of the job's own: a mount descriptor, or -errno. */
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

int bind_prepare(const BindRequest *request, Problem *reterr_problem) {
        _cleanup_(preparation_done) Preparation preparation = { .request = request, .binds_fd = -EBADF };
        const Machine *machine = request->machine;

        int r = bind_targets(machine, &preparation.targets);
        if (r < 0 || !preparation.targets)
                return r;
        preparation.binds_fd = make_directory(request);
        if (preparation.binds_fd < 0)
                return preparation.binds_fd;
        r = prepare_all(&preparation, machine->settings.bind, BIND_WRITABLE, reterr_problem);
        if (r < 0)
                return r;
        r = prepare_all(&preparation, machine->settings.bind_ro, BIND_READ_ONLY, reterr_problem);
        return r < 0 ? r : prepare_all(&preparation, machine->volumes, BIND_VOLUME, reterr_problem);
}

static int try_one(const char *text, BindKind kind, bool private_users, Problem *reterr_problem) {
        _cleanup_bind_ Bind bind = BIND_NONE;

        int r = parse_and_open(text, kind, &bind, reterr_problem);
        if (r < 0 || is_device(&bind.st))
                return r;
        _cleanup_close_ int mount_fd = clone_for(&bind, private_users, BIND_TRIAL_UID, UID_BLOCK, reterr_problem);
        return MIN(mount_fd, 0);
}

int bind_try(const Settings *settings, Problem *reterr_problem) {
        int r = 0;

        for (char *const *bind = settings->bind; bind && *bind; bind++) {
                r = try_one(*bind, BIND_WRITABLE, settings->private_users, reterr_problem);
                if (r < 0)
                        return r;
        }
        for (char *const *bind = settings->bind_ro; bind && *bind; bind++) {
                r = try_one(*bind, BIND_READ_ONLY, settings->private_users, reterr_problem);
                if (r < 0)
                        return r;
        }
        return r;
}

int bind_try_volume(const char *path, bool private_users, Problem *reterr_problem) {
        _cleanup_bind_ Bind bind = BIND_NONE;

        bind.kind = BIND_VOLUME;
        bind.source = strdup(path);
        bind.target = strdup(path);
        if (!bind.source || !bind.target)
                return -ENOMEM;
        int r = open_volume(&bind, reterr_problem);
        if (r < 0)
                return r;
        _cleanup_close_ int mount_fd = clone_for(&bind, private_users, BIND_TRIAL_UID, UID_BLOCK, reterr_problem);
        return MIN(mount_fd, 0);
}

bool bind_is_device(const char *text, char ret[static BIND_DEVICE_MAX]) {
        _cleanup_bind_ Bind bind = BIND_NONE;

        if (parse_and_open(text, BIND_WRITABLE, &bind, NULL) < 0 || !is_device(&bind.st))
                return false;
        /* systemd reads the numbers off such a path; others it takes only below /dev, and looks again what is there. */
        snprintf(ret, BIND_DEVICE_MAX, "/dev/%s/%u:%u", S_ISCHR(bind.st.st_mode) ? "char" : "block",
                 major(bind.st.st_rdev), minor(bind.st.st_rdev));
        return true;
}
