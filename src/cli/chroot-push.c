/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `chroot-push`: takes an image to a registry. The image is only read, and jobs do not notice. */

#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "cli/push-common.h"
#include "config/image-reference.h"

static int run(const Invocation *invocation) {
        const char *name = invocation_argument(invocation, 0), *reference = invocation_argument(invocation, 1);
        const char *problem = image_reference_problem(reference);

        if (problem) {
                log_error("'%.200s' is no image of a registry: it %s", reference, problem);
                return COMMAND_MISUSED;
        }
        if (strchr(reference, '@')) {
                log_error("'%.200s' names a digest, which only an image that exists can have: give a tag", reference);
                return COMMAND_MISUSED;
        }
        int r = check_image_name_logged(name);
        return r < 0 ? r : push_logged(invocation, name, reference);
}

const Command command_chroot_push = {
        .name = "chroot-push",
        .synopsis = "NAME REFERENCE",
        .min_arguments = 2,
        .max_arguments = 2,
        .flags = COMMAND_STATUS | COMMAND_ROOT,
        .run = run,
        .help = "Take an image to a registry; only what changed since the last time is sent",
};
