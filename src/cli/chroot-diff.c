/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `chroot-diff`: shows packages and files that differ between two generations. Only reads, and holds both
 * trees meanwhile. */

#include <inttypes.h>

#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/differences.h"
#include "cli/image-common.h"
#include "image/generation.h"

/* Opens the earlier generation to compare with: as asked for, or the one before. */
static int hold_old(const Settings *settings, const Image *image, const char *wanted, Image **ret) {
        _cleanup_free_ char *reference = NULL;
        uint64_t number = 0;

        if (wanted && (parse_uint64(wanted, &number) < 0 || number == 0)) {
                log_error("A generation is a number that 'chroot-list' shows, not '%.200s'", wanted);
                return COMMAND_MISUSED;
        }
        int r = wanted ? 0 : generation_previous(image->root_dir, image->name, image->generation, &number);
        if (r == -ENOENT)
                log_error("Image '%s' has no earlier generation", image->title);
        else if (r < 0)
                log_error_errno(r, "Cannot list the generations of image '%s': %m", image->title);
        if (r < 0)
                return r;
        if (string_printf(&reference, "%s@%" PRIu64, image->name, number) < 0)
                return log_oom();
        if (streq(image->root_dir, settings->root_dir))
                return hold_image_logged(settings, reference, ret);
        r = generation_hold_reference(image->root_dir, reference, ret);
        return r < 0 ? log_error_errno(r, "Cannot open generation %" PRIu64 " of image '%s': %m", number,
                                       image->title) :
                       0;
}

static int run(const Invocation *invocation) {
        const Settings *settings = invocation->settings;
        _cleanup_image_ Image *old = NULL, *new = NULL;

        int r = hold_image_logged(settings, invocation_argument(invocation, 0), &new);
        if (r < 0)
                return r;
        r = hold_old(settings, new, invocation_argument(invocation, 1), &old);
        if (r < 0)
                return r;
        bool files = invocation_has(invocation, "files"), json = invocation_has(invocation, "json");
        const DifferencesRequest request = {
                .old_fd = old->fd,
                .new_fd = new->fd,
                .old_name = old->path,
                .new_name = new->path,
                .files = files,
                .json = json,
        };
        r = differences_print_logged(&request);
        if (r == 0 && !json && files)
                log_notice("No packages and files differ between generations %" PRIu64 " and %" PRIu64 " of image '%s'",
                           old->generation, new->generation, new->title);
        else if (r == 0 && !json)
                log_notice("No packages differ between generations %" PRIu64 " and %" PRIu64
                           " of image '%s'; --files shows whether files do",
                           old->generation, new->generation, new->title);
        return r < 0 ? r : 0;
}

static const CommandOption options[] = {
        { "files", NULL, "show files as well as packages", 0 },
        { "json", NULL, "print JSON, for programs", 0 },
        { 0 },
};

const Command command_chroot_diff = {
        .name = "chroot-diff",
        .synopsis = "NAME [GENERATION]",
        .min_arguments = 1,
        .max_arguments = 2,
        .options = options,
        .run = run,
        .help = "Show what changed in an image since an earlier generation",
};
