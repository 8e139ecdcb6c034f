/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How `exec` says what became of jobs: words, signs, durations, reasons. Called by its output on the terminal and by
 * its report, so that both say the same. It prints nothing, and does not make harmless what it quotes of jobs:
 * callers do. */

#include <inttypes.h>

#include "base/string.h"
#include "exec/page.h"

ExecStatusLook exec_status_look(JobStatus status, bool allow_failure) {
        static const ExecStatusLook looks[] = {
                [JOB_CREATED] = { "waits", "…", "not started" }, [JOB_PENDING] = { "waits", "…", "pending" },
                [JOB_RUNNING] = { "runs", "●", "running" },      [JOB_SUCCESS] = { "good", "✓", "passed" },
                [JOB_FAILED] = { "bad", "✗", "failed" },         [JOB_CANCELED] = { "off", "⊘", "canceled" },
                [JOB_SKIPPED] = { "off", "»", "skipped" },       [JOB_MANUAL] = { "hand", "▷", "manual" },
                [JOB_SCHEDULED] = { "hand", "◷", "delayed" },    [JOB_CANCELING] = { "off", "⊘", "canceling" },
        };

        if (status == JOB_FAILED && allow_failure)
                return (ExecStatusLook){ "warn", "!", "failed (allowed)" };
        return looks[status];
}

ExecStatusLook exec_run_look(const RunState *state) {
        JobStatus status = run_state_status(state);

        if (state->interrupted)
                status = JOB_CANCELED;
        else if (run_state_exit_status(state) == 1)
                status = JOB_FAILED;
        else if (status == JOB_MANUAL || status == JOB_SCHEDULED)
                return (ExecStatusLook){ "hand", "▷", "passed as far as it goes by itself," };
        return exec_status_look(status, false);
}

const char *exec_run_remark(const RunState *state) {
        JobStatus status = run_state_status(state);

        if (run_state_exit_status(state) != 1)
                return "";
        return status == JOB_MANUAL    ? " (manual in GitLab, as a manual job has yet to be started)" :
               status == JOB_SCHEDULED ? " (delayed in GitLab, as a delayed job has yet to be started)" :
                                         "";
}

const char *exec_job_reason(const RunState *state, size_t i, const ExecTry *last,
                            char ret[static EXEC_REASON_BYTES_MAX]) {
        const RunJob *job = state->jobs + i;

        ret[0] = 0;
        if (job->status == JOB_FAILED || job->status == JOB_CANCELED)
                snprintf(ret, EXEC_REASON_BYTES_MAX, "%s%s", last ? last->reason : "",
                         last && last->reason[0] && job->n_tries > 1 ? ", in the last try" : "");
        else if (job->status == JOB_SKIPPED && job->because != SIZE_MAX) {
                const RunJob *other = state->jobs + job->because;

                snprintf(ret, EXEC_REASON_BYTES_MAX, "'%.300s' %s", state->pipeline->jobs[job->because].name,
                         other->status == JOB_FAILED  ? "failed" :
                         other->status == JOB_SKIPPED ? "was skipped" :
                         other->status == JOB_MANUAL  ? "was not started" :
                                                        "was canceled");
        } else if (job->status == JOB_SKIPPED && state->pipeline->jobs[i].when == WHEN_ON_FAILURE)
                snprintf(ret, EXEC_REASON_BYTES_MAX, "nothing before it failed");
        else if (job->status == JOB_MANUAL || job->status == JOB_SCHEDULED)
                snprintf(ret, EXEC_REASON_BYTES_MAX, "start it with --manual%s",
                         run_state_blocks(state, i) ? "; later jobs wait for it" : "");
        return ret;
}

const char *exec_duration(uint64_t usec, char ret[static EXEC_DURATION_BYTES_MAX]) {
        uint64_t seconds = (usec + USEC_PER_SEC / 2) / USEC_PER_SEC, tenths = usec / (USEC_PER_SEC / 10);

        if (tenths < 600)
                snprintf(ret, EXEC_DURATION_BYTES_MAX, "%" PRIu64 ".%us", tenths / 10, (unsigned) (tenths % 10));
        else if (seconds < 3600)
                snprintf(ret, EXEC_DURATION_BYTES_MAX, "%" PRIu64 "m %02us", seconds / 60, (unsigned) (seconds % 60));
        else
                snprintf(ret, EXEC_DURATION_BYTES_MAX, "%" PRIu64 "h %02um", seconds / 3600,
                         (unsigned) (seconds / 60 % 60));
        return ret;
}
