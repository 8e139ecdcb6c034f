/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `measure-kept`: the process that measures large caches and working copies after the job's `cleanup` has
 * returned. `cleanup` starts it, detached, for one directory of images. Nobody sees its messages or waits for it. It
 * may be killed at any time: what is not measured then is measured after the next job, or by `gc`. */

#include "base/log.h"
#include "base/process.h"
#include "cli/commands.h"
#include "store/store.h"

static int run(const Invocation *invocation) {
        const PlaceKind *const kinds[] = { &place_caches, &place_builds };
        const char *root_dir = invocation_argument(invocation, 0);
        int result = 0;

        process_step_back();
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                int r = store_measure_alone(root_dir, kinds[i]);
                if (r < 0)
                        result = log_error_errno(r, "Cannot find out how large all directories in '%s/%s' are: %m",
                                                 root_dir, kinds[i]->directory);
        }
        return result;
}

const Command command_measure_kept = {
        .name = "measure-kept",
        .synopsis = "DIRECTORY",
        .min_arguments = 1,
        .max_arguments = 1,
        .flags = COMMAND_HIDDEN | COMMAND_BAD_CONFIG,
        .run = run,
        .help = "Measure what is kept for later jobs (internal)",
};
