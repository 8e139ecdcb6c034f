/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `empty-trash`: the process that removes what a job wrote after the job's `cleanup` has returned. `cleanup`
 * and `prepare` start it, detached, for one directory of images. Nobody sees its messages or waits for it. It may be
 * killed at any time: the next one, or `gc`, continues. */

#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "cli/commands.h"
#include "storage/trash.h"

static int run(const Invocation *invocation) {
        const char *root_dir = invocation_argument(invocation, 0);

        _cleanup_close_ int trash_fd = trash_open(root_dir, false);
        if (trash_fd == -ENOENT)
                return 0;
        if (trash_fd < 0)
                return log_error_errno(trash_fd, "Cannot open '%s/" TRASH_DIRECTORY "': %m", root_dir);
        process_step_back();
        int r = trash_empty_alone(trash_fd);
        if (r < 0)
                return log_error_errno(r, "Cannot remove all that ended jobs left in '%s/" TRASH_DIRECTORY "': %m",
                                       root_dir);
        return 0;
}

const Command command_empty_trash = {
        .name = "empty-trash",
        .synopsis = "DIRECTORY",
        .min_arguments = 1,
        .max_arguments = 1,
        .flags = COMMAND_HIDDEN | COMMAND_BAD_CONFIG,
        .run = run,
        .help = "Remove what ended jobs wrote (internal)",
};
