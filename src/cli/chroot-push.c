/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Commands `chroot-push` and `chroot-export`: take an image to a registry, or into a file. The image is only read, and jobs
 * do not notice. */

#include <stdio.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "cli/make-common.h"
#include "cli/progress.h"
#include "config/image-reference.h"
#include "maintain/push-image.h"

static int fail(const char *what, const char *name, const Progress *progress, const Problem *problem, int r) {
        if (r == -ECANCELED)
                return log_full(LOG_LEVEL_ERROR, r, "Stopped by a signal: image '%s' was not %s", name, what);
        log_error("Image '%s' was not %s: %s", name, what,
                  r > 0 && !problem->text[0] ? "a program failed" : problem_text(problem, r > 0 ? -EIO : r));
        progress_log_last_lines(progress);
        return r > 0 ? -EIO : r;
}

static int push(const Invocation *invocation, const char *name, const char *reference) {
        _cleanup_image_ Image *image = NULL;
        Problem problem = { 0 };
        Progress progress;

        int r = hold_image_logged(invocation->settings, name, &image);
        if (r < 0)
                return r;
        _cleanup_close_ int cancel_fd = open_cancel_fd_logged();
        if (cancel_fd < 0)
                return cancel_fd;
        progress_init(&progress);
        const Listener listener = progress_listener(&progress, cancel_fd);
        ImagePush request = { .root_dir = invocation->settings->root_dir, .image = image, .listener = &listener };
        r = push_image(&request, reference, &problem);
        progress_clear(&progress);
        if (r != 0)
                return fail("pushed", name, &progress, &problem, r);
        log_notice(
                "Image '%s' is in the registry as %s (%llu s). Other hosts get it with 'nspawn_runner_oci: %s' in its "
                "definition",
                name, reference, progress_seconds(&progress), reference);
        return 0;
}

static int export(const Invocation *invocation, const char *name, const char *file) {
        _cleanup_image_ Image *image = NULL;
        Problem problem = { 0 };
        Progress progress;

        int r = hold_image_logged(invocation->settings, name, &image);
        if (r < 0)
                return r;
        _cleanup_close_ int cancel_fd = open_cancel_fd_logged();
        if (cancel_fd < 0)
                return cancel_fd;
        progress_init(&progress);
        const Listener listener = progress_listener(&progress, cancel_fd);
        ImagePush request = { .root_dir = invocation->settings->root_dir, .image = image, .listener = &listener };
        r = export_image(&request, file, &problem);
        progress_clear(&progress);
        if (r == -EEXIST)
                return log_full(LOG_LEVEL_ERROR, r, "'%s' exists already: give another name, or remove it", file);
        if (r != 0)
                return fail("exported", name, &progress, &problem, r);
        log_notice("Image '%s' is in '%s' (%llu s)", name, file, progress_seconds(&progress));
        return 0;
}

/* 0, or the error, logged. */
static int check_image_name(const char *name) {
        const char *problem = image_name_problem(name);

        if (problem) {
                log_error("Image name '%.200s' %s", name, problem);
                return -EINVAL;
        }
        if (geteuid() == 0)
                return 0;
        log_error("Only root can read all files of images");
        return -EPERM;
}

static int run_push(const Invocation *invocation) {
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
        int r = check_image_name(name);
        return r < 0 ? r : push(invocation, name, reference);
}

static int run_export(const Invocation *invocation) {
        const char *name = invocation_argument(invocation, 0), *file = invocation_argument(invocation, 1);
        _cleanup_free_ char *standard = NULL;

        int r = check_image_name(name);
        if (r < 0)
                return r;
        if (!file && string_printf(&standard, "%s.tar.zst", name) < 0)
                return log_oom();
        if (!file)
                file = standard;
        if (export_kind(file))
                return export(invocation, name, file);
        if (image_reference_is(file) && !strchr(file, '@'))
                return push(invocation, name, file);
        log_error("'%.200s' is neither a file that ends with " EXPORT_ENDINGS " nor an image of a registry, such as "
                  "registry.example.com/group/name:tag",
                  file);
        return COMMAND_MISUSED;
}

const Command command_chroot_push = {
        .name = "chroot-push",
        .synopsis = "NAME REFERENCE",
        .min_arguments = 2,
        .max_arguments = 2,
        .run = run_push,
        .help = "Take an image to a registry; only what changed since the last time is sent",
};

const Command command_chroot_export = {
        .name = "chroot-export",
        .synopsis = "NAME [FILE|REFERENCE]",
        .min_arguments = 1,
        .max_arguments = 2,
        .run = run_export,
        .help = "Write an image to an archive, or take it to a registry",
};
