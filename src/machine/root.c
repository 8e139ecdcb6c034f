/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The one way in which a tree is mounted to start something in it: `supervise` does it for every machine, and `doctor`
 * to try what jobs would get. Nothing is mounted where others see it. */

#include "machine/root.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "container/bind.h"
#include "container/userns.h"
#include "image/generation.h"
#include "machine/resolver.h"
#include "storage/storage.h"
#include "tree/check.h"

void machine_root_done(MachineRoot *root) {
        closep(&root->layer_fd);
        closep(&root->image_fd);
        uid_range_release(&root->users);
        free(root->path);
        *root = MACHINE_ROOT_NONE;
}

int machine_root_lock(MachineRoot *root, const char **ret_what) {
        *ret_what = "open the job's layer";
        root->layer_fd = open_directory_at(AT_FDCWD, root->machine->layer, false, 0);
        if (root->layer_fd < 0)
                return root->layer_fd;
        if (flock(root->layer_fd, LOCK_SH | LOCK_NB) < 0)
                return -errno;

        if (!root->machine->settings.private_users)
                return 0;
        *ret_what = "find a free range of user IDs in /run/systemd/nspawn-uid";
        return uid_range_acquire(root->machine->name, root->machine->settings.uid_range, &root->users);
}

int machine_root_mount(MachineRoot *root, const char **ret_what) {
        const StorageDriver *driver = storage_of_machine(root->machine->settings.storage);
        _cleanup_free_ char *work = NULL;
        _cleanup_close_ int userns_fd = -EBADF;

        *ret_what = "find the storage driver";
        if (!driver)
                return -EINVAL;
        *ret_what = "set up the job's directory";
        if (string_printf(&root->path, "%s/root", root->machine->directory) < 0 ||
            string_printf(&work, "%s/work", root->machine->directory) < 0)
                return -ENOMEM;
        if (mkdirat(root->directory_fd, "root", 0700) < 0 || mkdirat(root->directory_fd, "work", 0700) < 0)
                return -errno;

        *ret_what = "make a mount namespace";
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
                return -errno;
        /* Not before: a descriptor from then would lead into the host's mounts, which cannot be cloned from here. Until
         * now `prepare` holds the image. */
        if (driver->needs_image) {
                *ret_what = "open the image";
                root->image_fd = generation_hold_tree(root->machine->image_path, root->machine->generation);
                if (root->image_fd < 0)
                        return root->image_fd;
        }

        if (root->machine->settings.private_users) {
                *ret_what = "make a user namespace";
                userns_fd = userns_open(root->users.base, root->users.width);
                if (userns_fd < 0)
                        return userns_fd;
        }
        StorageMount request = {
                .image_fd = root->image_fd,
                .layer_fd = root->layer_fd,
                .layer_path = root->machine->layer,
                .work_dir = work,
                .target = root->path,
                .userns_fd = userns_fd,
                .uid_base = root->users.base,
                .uid_range = root->users.width,
                .tmpfs_size_bytes = root->machine->settings.tmpfs_size.bytes,
        };
        *ret_what = "mount the job's root";
        return driver->mount(&request);
}

int machine_root_complete(MachineRoot *root, const char **ret_what, char **reterr_problem) {
        _cleanup_strv_ char **targets = NULL;
        Problem problem = { 0 };

        /* Nothing has looked at it since it was mounted. */
        *ret_what = "look at the job's root";
        _cleanup_close_ int root_fd = open_directory_at(AT_FDCWD, root->path, false, 0);
        if (root_fd < 0)
                return root_fd;
        int r = bind_targets(root->machine, &targets);
        if (r < 0)
                return r;
        r = tree_check_root(root_fd, targets, &problem);
        if (r == TREE_REFUSED) {
                r = string_printf(reterr_problem, "image '%s' cannot be used: %s", root->machine->image, problem.text);
                return r < 0 ? r : -EUCLEAN;
        }
        if (r >= 0)
                r = tree_remove_machine_id(root_fd);
        if (r < 0 || root->machine->settings.network == NETWORK_NONE)
                return r;

        *ret_what = "copy the host's resolv.conf";
        return resolver_copy(root_fd, root->users.base);
}
