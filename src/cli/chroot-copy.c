/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `chroot-copy`: makes a new image of a copy of another one, or of one of its generations. Never replaces anything
 * that has the new name. */

#include <fcntl.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/busy.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "cli/make-common.h"
#include "image/generation.h"
#include "image/publish.h"

/* What is known of the tree holds for the copy, too; it has no definition yet. */
static int publish_copy(const Image *image, Staging *staging, Problem *reterr_problem) {
        _cleanup_generation_ Generation *known = NULL;

        int r = generation_load_of(image, &known);
        if (r < 0)
                return r;
        Generation about = *known;
        about.number = about.published_usec = about.keep = 0;
        about.definition = NULL;
        staging->new_image = true;
        return publish(staging, &about, NULL, reterr_problem);
}

static int explain_stop(int cancel_fd, const char *new_name) {
        const char *signal;

        int status = take_signal(cancel_fd, &signal);
        log_error("Stopped by %s: there is no image '%s'", signal, new_name);
        return status;
}

static int copy(const Invocation *invocation, const Image *image, const char *new_name, int cancel_fd) {
        const char *root_dir = invocation->settings->root_dir;
        _cleanup_staging_ Staging staging = STAGING_NONE;
        Problem problem = { 0 };
        ImageTurn turn;

        image_turn_init(invocation, new_name, cancel_fd, &turn);
        busy_begin("Copying the image");
        int r = staging_open_copy(root_dir, new_name, &turn.turn, image, cancel_fd, &staging);
        busy_end();
        if (r == -EBUSY)
                return log_busy(&turn);
        if (r == -ECANCELED)
                return explain_stop(cancel_fd, new_name);
        if (r < 0)
                return log_error_errno(r, "Cannot copy image '%s': %m", image->title);
        r = publish_copy(image, &staging, &problem);
        if (r < 0)
                log_error("Image '%s' was not made: %s", new_name, problem_text(&problem, r));
        int q = staging_discard(&staging);
        return r < 0 || q >= 0 ? r : log_error_errno(q, "Cannot remove what is left in '%s': %m", staging.root_path);
}

static int run(const Invocation *invocation) {
        const Settings *settings = invocation->settings;
        const char *name = invocation_argument(invocation, 0), *new_name = invocation_argument(invocation, 1);
        _cleanup_free_ char *path = NULL;
        _cleanup_image_ Image *image = NULL;

        int r = check_image_name_logged(new_name);
        if (r < 0)
                return r;
        if (string_printf(&path, "%s/%s", settings->root_dir, new_name) < 0)
                return log_oom();
        if (exists_at(AT_FDCWD, path))
                return log_full(LOG_LEVEL_ERROR, -EEXIST, "'%s' already exists in '%s'", new_name, settings->root_dir);
        r = hold_image_logged(settings, name, &image);
        if (r < 0)
                return r;
        _cleanup_close_ int cancel_fd = open_cancel_fd_logged();
        if (cancel_fd < 0)
                return cancel_fd;
        r = copy(invocation, image, new_name, cancel_fd);
        if (r == 0)
                log_notice("Image '%s' is a copy of '%s' now", new_name, name);
        return r;
}

static const CommandOption options[] = { NO_WAIT_OPTION, { 0 } };

const Command command_chroot_copy = {
        .name = "chroot-copy",
        .synopsis = "NAME NEW",
        .min_arguments = 2,
        .max_arguments = 2,
        .options = options,
        .flags = COMMAND_STATUS | COMMAND_ROOT,
        .run = run,
        .help = "Make a new image of a copy of another one",
};
