/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `cleanup`: GitLab Runner calls it last for a job, also when `prepare` failed. Nothing of the job may be
 * left when it succeeds, unless the job failed and the settings say that its container stays for a while. */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/find-machine.h"
#include "cli/job-common.h"
#include "cli/report.h"
#include "job/volumes.h"
#include "local/broker-client.h"
#include "machine/kept.h"
#include "machine/remove.h"
#include "maintain/space.h"

/* A process in the background, with the same configuration, which removes the job when its time is over. Best effort: `prepare`
 * and `gc` do that, too. */
static void start_end(const Invocation *invocation, const char *id) {
        _cleanup_strv_ char **arguments = NULL;

        if ((invocation->config_file && strv_extend_many(&arguments, "--config", invocation->config_file) < 0) ||
            (invocation->root && strv_extend_many(&arguments, "--root", invocation->root) < 0) ||
            strv_extend_many(&arguments, "end-kept", id) < 0)
                return;
        process_spawn_own(arguments);
}

static void say_kept(const char *id, const char *why, uint64_t until_usec) {
        uint64_t now_usec = clock_now_usec();
        time_t until = time(NULL) + (time_t) ((until_usec > now_usec ? until_usec - now_usec : 0) / USEC_PER_SEC);
        struct tm tm;
        char text[32];

        strftime(text, sizeof(text), "%H:%M:%S", localtime_r(&until, &tm));
        log_notice(
                "Job %s failed (%s). Its container is kept until %s: see it with 'nspawn-runner shell %s', job-diff or "
                "job-copy; 'nspawn-runner cleanup --now --id %s' ends it",
                id, why, text, id, id);
}

/* Is the job kept? */
static bool keep(const Invocation *invocation, const char *id) {
        const Settings *settings = invocation->settings;
        uint64_t keep_usec = keep_failed_usec(settings);
        _cleanup_free_ char *why = NULL;
        char size[FORMAT_BYTES_MAX];
        uint64_t until_usec;
        Space space;

        if (keep_usec > 0 && space_look(settings, &space) == 0)
                keep_usec = 0;
        int r = machine_keep(settings, id, keep_usec, &until_usec, &why);
        if (r < 0) {
                log_warning_errno(r, "Cannot keep the container of failed job %s: %m", id);
                return false;
        }
        if (r == KEEP_TOO_LARGE)
                log_notice("Job %s failed (%s). Its container is not kept: it has written more than keep_failed_size, "
                           "%s",
                           id, why, format_bytes(settings->keep_failed_size_bytes, size));
        if (r == KEEP_NOT || r == KEEP_TOO_LARGE)
                return false;
        if (r == KEEP_BEGUN)
                start_end(invocation, id);
        say_kept(id, why, until_usec);
        if (getenv(LOCAL_OWNER_VARIABLE)) /* for `exec` to read */
                puts(id);
        return true;
}

static int clean_up(const Settings *settings, const char *id) {
        _cleanup_strv_ char **places = NULL;

        job_volumes_find(settings, id, &places);
        int r = machine_remove(settings, id);
        if (r == -EBUSY)
                log_error("Job %s is still being prepared or removed by another process; try again, or run "
                          "'nspawn-runner gc' later",
                          id);
        else if (r < 0)
                log_error_errno(r, "Cannot remove all of job %s: %m; 'nspawn-runner gc' tries again", id);
        if (r < 0)
                return r;
        job_volumes_release(settings, places);
        log_verbose("Nothing of job %s is left", id);
        return 0;
}

static int run(const Invocation *invocation) {
        _cleanup_job_spec_ JobSpec job = { 0 };
        const Settings *settings = invocation->settings;
        bool now = invocation_has(invocation, "now");

        int r = find_job(invocation, &job);
        if (r < 0)
                return r;
        /* A person gives a number. */
        if (now && find_machine(settings, job.id, &job.id) == -ENOTUNIQ) {
                log_error("Several jobs have number %s: give one's whole id, as 'nspawn-runner status' shows it",
                          job.id);
                return -ENOTUNIQ;
        }
        report_job(settings, &job);
        return !now && keep(invocation, job.id) ? 0 : clean_up(settings, job.id);
}

static const CommandOption options[] = {
        { "id", "ID", "job number, where GitLab does not say it", 0 },
        { "now", NULL, "remove the job also if the settings say that a failed one is kept", 0 },
        { 0 },
};

const Command command_cleanup = {
        .name = "cleanup",
        .synopsis = "",
        .options = options,
        .flags = COMMAND_STAGE | COMMAND_ROOT,
        .run = run,
        .help = "Stop the container of a job and remove everything of the job",
};
