/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What starting a job's own container and those of its services have in common: the settings of an image, the plan,
 * and what to say when a start failed. Called by `prepare` and what works for it. It must not call a fault of the
 * host one of the job: GitLab Runner tries again only after the former. */

#include "cli/start-common.h"

#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/image-common.h"
#include "cli/job-common.h"
#include "gitlab/exit-status.h"
#include "local/broker-client.h"
#include "machine/tools-plan.h"

int settings_of_image_logged(const Settings *settings, const ImageChoice *choice, const Image *image, Settings *storage,
                             const Settings **ret) {
        int r = image_settings_logged(settings, image->title, storage, ret);
        if (r != 0)
                return r;
        if (settings->private_users && !(*ret)->private_users &&
            !image_choice_host_root_allowed(settings, choice->source, image->name)) {
                log_error(
                        "Image '%s' makes root of a job root of the host ('private_users: no' in its definition): jobs "
                        "may choose it only if %s has its name, not a pattern for it",
                        image->name, choice->source == IMAGE_OF_SERVICE ? "allowed_services" : "allowed_images");
                return STAGE_BUILD_FAILURE;
        }
        return binds_checked_logged(settings, image->title, *ret);
}

static int plan_all(const MachineRequest *request, Machine **ret, char ***ret_argv, Problem *reterr_problem) {
        int r = plan_machine(request, ret, reterr_problem);
        if (r != 0)
                return r;
        r = plan_seccomp(request, *ret, reterr_problem);
        return r != 0 ? r : plan_supervise_command(request->settings, request->id, ret_argv);
}

/* The command `exec`, or the GitLab Runner that called us: nothing of a job stays when they are killed, as nobody would go on
 * with it. What the job chooses is not in this variable: all of that begins with CUSTOM_ENV_. */
void plan_note_owner(MachineRequest *request) {
        const char *text = getenv(LOCAL_OWNER_VARIABLE);
        uint64_t pid;

        if (!text)
                pid = (uint64_t) tools_calling_runner();
        else if (parse_uint64(text, &pid) < 0 || pid > INT32_MAX)
                return;
        request->owned = pid > 0;
        request->owner = (pid_t) pid;
        if (pid == 0 || process_start_time((pid_t) pid, &request->owner_start) < 0)
                request->owner_start = 0; /* if it has gone, the plan fails */
}

int plan_logged(const MachineRequest *request, Machine **ret, char ***ret_argv) {
        MachineRequest full = *request;
        Problem problem = { 0 };

        if (!full.owned)
                plan_note_owner(&full);
        int r = plan_all(&full, ret, ret_argv, &problem);
        if (r == 0)
                return 0;
        (void) log_problem(r, &problem);
        return r == PLAN_NO_SYSTEMD ? STAGE_BUILD_FAILURE : r > 0 ? -ENOENT : r;
}

int failed_start_logged(const Machine *machine, const MachineDirectory *directory, int outcome,
                        const Problem *problem) {
        (void) log_problem(outcome, problem);
        if (outcome == START_NOT_READY || (outcome == START_NOT_EXECUTABLE && machine->command))
                log_end_of_machine(directory);
        /* The job named the image, and no retry makes it better. */
        if (outcome == START_IMAGE_REFUSED || outcome == START_NOT_EXECUTABLE)
                return STAGE_BUILD_FAILURE;
        if (outcome < 0)
                return outcome;
        return outcome == START_CANCELLED ? -ECANCELED : -EIO;
}
