/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `chroot-rename`: gives an image with all its generations another name, which no image may have yet. Jobs
 * that run keep the trees they have. */

#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "definition/definition.h"
#include "image/rename.h"

static int explain(const Settings *settings, const char *name, const char *new_name, int r) {
        switch (r) {
        case -ENOENT:
                log_no_image(settings, name);
                return r;
        case -EEXIST:
                return log_full(LOG_LEVEL_ERROR, r,
                                "There is something called '%s' in '%s' already, or jobs still use old "
                                "generations of an image of that name",
                                new_name, settings->root_dir);
        case -ENOTDIR:
        case -ENODATA:
                return log_full(LOG_LEVEL_ERROR, r, "'%s/%s' is not an image: it %s", settings->root_dir, name,
                                r == -ENOTDIR ? "is not a directory (symlinks are not followed)" :
                                                "holds no root file system");
        default:
                return log_error_errno(r, "Cannot rename image '%s' in '%s': %m", name, settings->root_dir);
        }
}

static int run(const Invocation *invocation) {
        const Settings *settings = invocation->settings;
        const char *const names[] = { invocation_argument(invocation, 0), invocation_argument(invocation, 1) };
        _cleanup_free_ char *definition = NULL;
        ImageTurn turn;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                int r = check_image_name_logged(names[i]);
                if (r < 0)
                        return r;
        }
        image_turn_init(invocation, names[0], -EBADF, &turn);
        int r = image_rename(settings->root_dir, names[0], names[1], &turn.turn);
        if (r == -EBUSY && turn.turn.holder.pid > 0)
                return log_busy(&turn);
        if (r < 0)
                return explain(settings, names[0], names[1], r);
        log_notice("Image '%s' is called '%s' now", names[0], names[1]);
        if (definition_find(settings, names[0], &definition, NULL) >= 0)
                log_notice("Rename '%s', too: the next chroot-maintenance would make an image '%s' again", definition,
                           names[0]);
        return 0;
}

static const CommandOption options[] = { NO_WAIT_OPTION, { 0 } };

const Command command_chroot_rename = {
        .name = "chroot-rename",
        .synopsis = "NAME NEW",
        .min_arguments = 2,
        .max_arguments = 2,
        .options = options,
        .flags = COMMAND_ROOT,
        .run = run,
        .help = "Give an image another name",
};
