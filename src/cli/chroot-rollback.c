/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `chroot-rollback`: makes an earlier generation the current one again. No tree is changed or removed by
 * that, and jobs that run keep the tree they have. */

#include <inttypes.h>

#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "definition/definition.h"
#include "image/generation.h"
#include "image/publish.h"

static int explain(const Settings *settings, const char *name, uint64_t number, int r, const Problem *problem) {
        _cleanup_free_ char *reference = NULL;

        if (r == -EALREADY)
                return log_full(LOG_LEVEL_ERROR, r, "Generation %" PRIu64 " of image '%s' is the current one", number,
                                name);
        if (r != -ENOENT)
                return log_error_errno(r, "Cannot roll image '%s' back: %s", name, problem_text(problem, r));

        _cleanup_image_ Image *image = NULL;
        if (number == 0 && image_open(settings->root_dir, name, &image) >= 0)
                log_no_earlier_generation(settings, name);
        else if (number != 0 && string_printf(&reference, "%s@%" PRIu64, name, number) >= 0)
                log_no_image(settings, reference);
        else
                log_no_image(settings, name);
        return r;
}

/* An image can have such a name, too, and goes before. */
static bool names_generation(const Settings *settings, const char *name, char **ret_image, uint64_t *ret_number) {
        _cleanup_image_ Image *image = NULL;

        return image_open(settings->root_dir, name, &image) == -ENOENT &&
               generation_split(name, ret_image, ret_number) >= 0;
}

static int run(const Invocation *invocation) {
        const Settings *settings = invocation->settings;
        const char *name = invocation_argument(invocation, 0), *wanted = invocation_argument(invocation, 1);
        _cleanup_free_ char *split = NULL;
        uint64_t number = 0, result = 0;
        Problem reason = { 0 };

        /* As a job would name it. */
        if (!wanted && names_generation(settings, name, &split, &number))
                name = split;
        int r = check_image_name_logged(name);
        if (r < 0)
                return r;
        if (wanted && (parse_uint64(wanted, &number) < 0 || number == 0)) {
                log_error("A generation is a number that 'chroot-list' shows, not '%.200s'", wanted);
                return COMMAND_MISUSED;
        }

        ImageTurn turn;

        image_turn_init(invocation, name, -EBADF, &turn);
        r = publish_rollback(settings->root_dir, name, number, &turn.turn, &result, &reason);
        if (r == -EBUSY)
                return log_busy(&turn);
        if (r < 0)
                return explain(settings, name, number, r, &reason);
        log_notice("Image '%s' is generation %" PRIu64 " now", name, result);
        _cleanup_free_ char *definition = NULL;
        if (definition_find(settings, name, &definition, NULL) >= 0)
                log_notice("The next chroot-maintenance brings it up to date again, as '%s' says", definition);
        return 0;
}

static const CommandOption options[] = { NO_WAIT_OPTION, { 0 } };

const Command command_chroot_rollback = {
        .name = "chroot-rollback",
        .synopsis = "NAME [GENERATION]",
        .min_arguments = 1,
        .max_arguments = 2,
        .options = options,
        .flags = COMMAND_ROOT,
        .run = run,
        .help = "Make an earlier generation of an image the current one",
};
