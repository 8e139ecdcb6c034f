/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Mounts the helper's root for a machine that has one. `supervise` calls this in its own mount namespace, so that
 * mounts and written files disappear with it. The helper image is only read, and held like the image of the job. */

#include "machine/helper.h"

#include <sys/stat.h>

#include "base/fd.h"
#include "base/string.h"
#include "container/tools.h"
#include "container/userns.h"
#include "image/generation.h"
#include "storage/storage.h"

static int hold(MachineRoot *root) {
        root->helper_fd = generation_hold_tree(root->machine->helper_path, root->machine->helper_generation,
                                               root->machine->helper_handle);
        return MIN(root->helper_fd, 0);
}

static int mount_at(const MachineRoot *root, const char *target) {
        _cleanup_close_ int userns_fd = -EBADF;

        if (root->machine->settings.private_users) {
                userns_fd = userns_open(root->users.base, root->users.width);
                if (userns_fd < 0)
                        return userns_fd;
        }
        StorageMount request = {
                .image_fd = root->helper_fd,
                .layer_fd = root->layer_fd,
                .layer_path = root->machine->layer,
                .work_dir = root->work,
                .target = target,
                .userns_fd = userns_fd,
                .uid_base = root->users.base,
                .uid_range = root->users.width,
                .tmpfs_size_bytes = HELPER_BYTES_MAX,
                .disk_max_bytes = UINT64_MAX, /* it is not on a disk */
        };
        return storage_tmpfs.mount(&request);
}

int helper_mount(MachineRoot *root, Problem *reterr_problem) {
        const Machine *machine = root->machine;
        _cleanup_free_ char *target = NULL;

        if (!machine->helper_path)
                return 0;
        int r = string_printf(&target, "%s/" HELPER_DIRECTORY, machine->directory);
        if (r < 0)
                return r;
        r = hold(root);
        if (r < 0)
                return problem_set(reterr_problem, r, "cannot open helper image '%s': %m", machine->helper);
        if (mkdirat(root->directory_fd, HELPER_DIRECTORY, 0700) < 0)
                return problem_set(reterr_problem, -errno, "cannot make a directory for the helper image: %m");
        r = mount_at(root, target);
        return r < 0 ? problem_set(reterr_problem, r, "cannot mount helper image '%s': %m", machine->helper) : 0;
}
