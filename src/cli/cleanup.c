/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `cleanup`: GitLab Runner calls it last for a job, also when `prepare` failed. Nothing of the job may be
 * left when it succeeds. */

#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/job-common.h"
#include "cli/report.h"
#include "job/volumes.h"
#include "machine/remove.h"

static int run(const Invocation *invocation) {
        _cleanup_job_spec_ JobSpec job = { 0 };
        _cleanup_strv_ char **places = NULL;

        int r = find_job(invocation, &job);
        if (r < 0)
                return r;
        job_volumes_find(invocation->settings, job.id, &places);
        report_job(invocation->settings, &job);
        r = machine_remove(invocation->settings, job.id);
        if (r == -EBUSY) {
                log_error("Job %s is still being prepared or removed by another process; try again, or run "
                          "'nspawn-runner gc' later",
                          job.id);
                return r;
        }
        if (r < 0)
                return log_error_errno(r, "Cannot remove all of job %s: %m; 'nspawn-runner gc' tries again", job.id);
        job_volumes_release(invocation->settings, places);
        log_verbose("Nothing of job %s is left", job.id);
        return 0;
}

static const CommandOption options[] = {
        { "id", "ID", "job number, where GitLab does not say it", 0 },
        { 0 },
};

const Command command_cleanup = {
        .name = "cleanup",
        .synopsis = "",
        .options = options,
        .flags = COMMAND_STAGE,
        .run = run,
        .help = "Stop the container of a job and remove everything of the job",
};
