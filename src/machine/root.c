/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The one way in which a tree is mounted to start something in it: `supervise` does it for every machine, and `doctor`
 * to try what jobs would get. Nothing is mounted where others see it. */

#include "machine/root.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/string.h"
#include "container/bind.h"
#include "container/nspawn.h"
#include "container/uid-range.h"
#include "container/userns.h"
#include "image/generation.h"
#include "image/image.h"
#include "machine/resolver.h"
#include "storage/storage.h"
#include "tree/check.h"

void machine_root_done(MachineRoot *root) {
        closep(&root->layer_fd);
        closep(&root->image_fd);
        closep(&root->helper_fd);
        uid_range_release(&root->users);
        free(root->path);
        free(root->work);
        *root = MACHINE_ROOT_NONE;
}

int machine_root_lock(MachineRoot *root, Problem *reterr_problem) {
        root->layer_fd = open_directory_at(AT_FDCWD, root->machine->layer, false, 0);
        if (root->layer_fd < 0)
                return problem_set(reterr_problem, root->layer_fd, "cannot open the job's layer: %m");
        int r = lock_try(root->layer_fd, LOCK_SH);
        if (r < 0)
                return problem_set(reterr_problem, r, "cannot lock the job's layer: %m");

        if (!root->machine->settings.private_users)
                return 0;
        r = uid_range_acquire(root->machine->name, root->machine->settings.uid_range, &root->users);
        if (r < 0)
                return problem_set(reterr_problem, r,
                                   "cannot find a free range of user IDs in " UID_RANGE_LOCKS ": %m");
        return 0;
}

/* Makes the directories to mount at: while the root is made, when it is complete, and for mounts that are gone before the
 * machine starts. */
static int make_directories(MachineRoot *root) {
        static const char *const names[] = { "mount", "root", "work" };

        if (string_printf(&root->path, "%s/mount", root->machine->directory) < 0 ||
            string_printf(&root->work, "%s/work", root->machine->directory) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (mkdirat(root->directory_fd, names[i], 0700) < 0)
                        return -errno;
        return 0;
}

int machine_root_path(const Machine *machine, char **ret) {
        return string_printf(ret, "%s/root", machine->directory);
}

int machine_root_unshare(MachineRoot *root, Problem *reterr_problem) {
        int r = make_directories(root);
        if (r < 0)
                return problem_set(reterr_problem, r, "cannot set up the job's directory: %m");
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
                return problem_set(reterr_problem, -errno, "cannot make a mount namespace: %m");
        return 0;
}

int machine_root_publish(MachineRoot *root, Problem *reterr_problem) {
        _cleanup_free_ char *path = NULL;

        int r = machine_root_path(root->machine, &path);
        if (r < 0)
                return r;
        if (mount(root->path, path, NULL, MS_MOVE, NULL) < 0)
                return problem_set(reterr_problem, -errno, "cannot move the mounted root: %m");
        free(root->path);
        root->path = TAKE_PTR(path);
        return 0;
}

/* Explains errors that only say that the kernel or the file system lacks something. */
static int fail_mount(int error, Problem *reterr_problem) {
        const char *why = "";

        if (error == -ENOSYS)
                why = " (this kernel is too old, or a sandbox forbids the call: mounts that map users, "
                      "mount_setattr(2), need Linux 5.12; or set 'private_users: no'; see 'nspawn-runner doctor')";
        else if (error == -EOPNOTSUPP)
                why = " (the file system of the image cannot be mounted with mapped users, \"idmap\": use another "
                      "file system, or 'private_users: no'; see 'nspawn-runner doctor')";
        else if (error == -ENODEV)
                why = " (this kernel has no overlayfs; see 'nspawn-runner doctor')";
        return problem_set(reterr_problem, error, "cannot mount the job's root: %m%s", why);
}

int machine_root_mount(MachineRoot *root, Problem *reterr_problem) {
        const char *storage = root->machine->settings.storage;
        const StorageDriver *driver = storage_of_machine(storage);
        _cleanup_close_ int userns_fd = -EBADF;

        if (!driver)
                return problem_set(reterr_problem, -EINVAL, "there is no storage driver '%s'", storage);
        /* Only here: a descriptor that was opened before belongs to the host's mounts, which cannot be cloned from
         * this namespace. Until now `prepare` holds the image. */
        if (driver->needs_image) {
                root->image_fd = generation_hold_tree(root->machine->image_path, root->machine->generation,
                                                      root->machine->image_handle);
                if (root->image_fd < 0)
                        return problem_set(reterr_problem, root->image_fd, "cannot open the image: %m");
        }

        if (root->machine->settings.private_users) {
                userns_fd = userns_open(root->users.base, root->users.width);
                if (userns_fd < 0)
                        return problem_set(reterr_problem, userns_fd, "cannot make a user namespace: %m");
        }
        StorageMount request = {
                .image_fd = root->image_fd,
                .layer_fd = root->layer_fd,
                .layer_path = root->machine->layer,
                .work_dir = root->work,
                .target = root->path,
                .userns_fd = userns_fd,
                .uid_base = root->users.base,
                .uid_range = root->users.width,
                .tmpfs_size_bytes = root->machine->settings.tmpfs_size.bytes,
                .disk_max_bytes = root->machine->settings.disk_max,
        };
        int r = driver->mount(&request);
        return r < 0 ? fail_mount(r, reterr_problem) : 0;
}

/* The first look at the root after it was mounted: nothing in it is trusted before. */
static int check_root(const MachineRoot *root, int root_fd, Problem *reterr_problem) {
        _cleanup_strv_ char **targets = NULL;
        Problem problem = { 0 };

        int r = bind_targets(root->machine, &targets);
        if (r < 0)
                return r;
        r = tree_check_root(root_fd, targets, &problem);
        if (r == TREE_REFUSED)
                return problem_set(reterr_problem, -EUCLEAN, "image '%s' cannot be used: %s", root->machine->image,
                                   problem.text);
        return r < 0 ? r : tree_remove_machine_id(root_fd);
}

static int add_resolver(const MachineRoot *root, int root_fd, Problem *reterr_problem) {
        const char *text = root->resolver;
        _cleanup_free_ char *read = NULL;

        if (root->machine->settings.network == NETWORK_NONE)
                return 0;
        if (!text) {
                int r = resolver_read(&read);
                if (r < 0)
                        return problem_set(reterr_problem, r, "cannot read the host's resolv.conf: %m");
                text = read;
        }
        if (!text)
                return 0; /* the host has none */
        int r = resolver_write(root_fd, root->users.base, text);
        return r < 0 ? problem_set(reterr_problem, r, "cannot write /etc/resolv.conf of the container: %m") : 0;
}

int machine_root_complete(MachineRoot *root, Problem *reterr_problem) {
        _cleanup_close_ int root_fd = open_directory_at(AT_FDCWD, root->path, false, 0);
        int r = root_fd < 0 ? root_fd : check_root(root, root_fd, reterr_problem);

        if (r == -EUCLEAN)
                return r;
        if (r < 0)
                return problem_set(reterr_problem, r, "cannot check the job's root: %m");
        return add_resolver(root, root_fd, reterr_problem);
}

int machine_root_needs_unified(const MachineRoot *root, const CgroupSet *groups) {
        bool legacy = false;

        for (size_t i = 0; i < groups->n; i++)
                legacy |= !(groups->directories[i].flags & CGROUP_UNIFIED);
        if (!root->machine->init)
                return !legacy;
        if (!legacy)
                return false;
        _cleanup_close_ int fd = open_directory_at(AT_FDCWD, root->path, false, 0);
        int version = fd < 0 ? fd : image_systemd_version(fd);
        return version < 0 ? version : version >= NSPAWN_UNIFIED_VERSION;
}
