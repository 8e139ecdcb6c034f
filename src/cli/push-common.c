/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What chroot-push and chroot-export share: taking an image to a registry with progress on stderr, and saying why
 * that failed. These functions log, so a caller does not do it again. The image is held meanwhile, and never changed. */

#include "cli/push-common.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/image-common.h"
#include "cli/make-common.h"
#include "cli/progress.h"

/* Says why image @name was not @what ("pushed"), after the work returned @r. */
static int failure(const char *what, const char *name, const Progress *progress, const Problem *problem, int cancel_fd,
                   int r) {
        if (r == -ECANCELED) {
                const char *signal;

                int status = take_signal(cancel_fd, &signal);
                log_error("Stopped by %s: image '%s' was not %s", signal, name, what);
                return status;
        }
        log_error("Image '%s' was not %s: %s", name, what,
                  r > 0 && !problem->text[0] ? "a program failed" : problem_text(problem, r > 0 ? -EIO : r));
        progress_log_last_lines(progress);
        return r > 0 ? -EIO : r;
}

int push_work_logged(const Invocation *invocation, const char *name, const char *what, PushWork work,
                     const char *target, unsigned long long *ret_seconds) {
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
        r = work(&request, target, &problem);
        progress_clear(&progress);
        if (r == -EEXIST)
                return log_full(LOG_LEVEL_ERROR, r, "'%s' exists already: give another name, or remove it", target);
        if (r != 0)
                return failure(what, name, &progress, &problem, cancel_fd, r);
        *ret_seconds = progress_seconds(&progress);
        return 0;
}

int push_logged(const Invocation *invocation, const char *name, const char *reference) {
        unsigned long long seconds;

        int r = push_work_logged(invocation, name, "pushed", push_image, reference, &seconds);
        if (r != 0)
                return r;
        log_notice(
                "Image '%s' is in the registry as %s (%llu s). Other hosts get it with 'nspawn_runner_oci: %s' in its "
                "definition",
                name, reference, seconds, reference);
        return 0;
}
