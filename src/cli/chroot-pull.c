/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `chroot-pull`: fetches an image of a registry before the first job needs it, or what is new of it. It never
 * decides whether jobs may use it: `allowed_images` and `allowed_services` do. */

#include "base/fd.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/make-common.h"
#include "cli/progress.h"
#include "config/image-reference.h"
#include "image/generation.h"
#include "maintain/image-cache.h"
#include "maintain/named-image.h"

static int explain(const char *reference, const Progress *progress, const Problem *problem, int cancel_fd, int r) {
        if (r == -ECANCELED) {
                const char *signal;

                int status = take_signal(cancel_fd, &signal);
                log_error("Stopped by %s: image '%s' was not fetched", signal, reference);
                return status;
        }
        if (r == -EDQUOT)
                return log_full(LOG_LEVEL_ERROR, r, "Image '%s' takes up more than image_cache_size allows", reference);
        log_error("Image '%s' was not fetched: %s", reference,
                  r > 0 && !problem->text[0] ? "a program failed" : problem_text(problem, r > 0 ? -EIO : r));
        progress_log_last_lines(progress);
        return r > 0 ? -EIO : r;
}

static int pull(const Settings *settings, const char *reference, int cancel_fd) {
        _cleanup_generation_ Generation *about = NULL;
        _cleanup_image_ Image *image = NULL;
        Problem problem = { 0 };
        Progress progress;

        progress_init(&progress);
        const Listener listener = progress_listener(&progress, cancel_fd);
        ImageFetch fetch = {
                .settings = settings,
                .pull = PULL_ALWAYS,
                .reference = reference,
                .command = "chroot-pull",
                .for_service = true,
                .listener = &listener,
        };
        int r = image_cache_get(&fetch, &image, &problem);
        progress_clear(&progress);
        if (r != 0)
                return explain(reference, &progress, &problem, cancel_fd, r);
        r = generation_load_of(image, &about);
        if (r < 0)
                return log_error_errno(r, "Cannot read the description of image '%s': %m", reference);
        log_notice("Image '%s' is here: %s (%llu s)", reference, about->digest, progress_seconds(&progress));
        return 0;
}

static int run(const Invocation *invocation) {
        const char *reference = invocation_argument(invocation, 0);
        char *const *pull_setting = invocation->settings->pull;
        _cleanup_free_ char *complete = NULL;

        int r = named_image_reference(invocation->settings, reference, &complete);
        if (r < 0)
                return log_oom();
        if (complete)
                reference = complete;
        const char *problem = image_reference_problem(reference);
        if (problem) {
                log_error("'%.200s' is no image of a registry: it %s", reference, problem);
                return COMMAND_MISUSED;
        }
        _cleanup_close_ int cancel_fd = open_cancel_fd_logged();
        if (cancel_fd < 0)
                return cancel_fd;
        r = pull(invocation->settings, reference, cancel_fd);
        if (r == 0 && pull_setting && streq(pull_setting[0], "never"))
                log_notice("The setting 'pull' is 'never': this image is used, but nothing else is fetched for jobs");
        return r;
}

const Command command_chroot_pull = {
        .name = "chroot-pull",
        .synopsis = "REFERENCE",
        .min_arguments = 1,
        .max_arguments = 1,
        .flags = COMMAND_STATUS | COMMAND_ROOT,
        .run = run,
        .help = "Fetch an image of a registry, or what is new of it",
};
