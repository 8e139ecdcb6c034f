/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Computes the common status of several jobs, which decides about the jobs after them and is the status of the
 * pipeline. Called by run-state.c, and by everything that shows names of statuses. It only computes: it must know no
 * jobs and keep no state. */

#include "pipeline/job-status.h"

const char *job_status_name(JobStatus status) {
        static const char *const names[] = { "created",  "pending", "running", "success",   "failed",
                                             "canceled", "skipped", "manual",  "scheduled", "canceling" };

        return names[status];
}

bool job_status_ended(JobStatus status) {
        return status == JOB_SUCCESS || status == JOB_FAILED || status == JOB_CANCELED || status == JOB_SKIPPED;
}

unsigned status_seen(JobStatus status, bool allow_failure) {
        if (allow_failure && (status == JOB_FAILED || status == JOB_CANCELED))
                return SEEN_WARNING;
        return allow_failure && status == JOB_MANUAL ? SEEN_IGNORED : status;
}

JobStatus status_composite(unsigned seen, bool by_needs) {
        const unsigned ended = STATUS_BIT(JOB_SUCCESS) | STATUS_BIT(JOB_FAILED) | STATUS_BIT(JOB_CANCELED) |
                               STATUS_BIT(JOB_SKIPPED) | STATUS_BIT(SEEN_WARNING);
        static const struct {
                unsigned only;
                JobStatus status;
        } rules[] = {
                { STATUS_BIT(JOB_SKIPPED) | STATUS_BIT(SEEN_IGNORED), JOB_SKIPPED },
                { STATUS_BIT(JOB_SUCCESS) | STATUS_BIT(JOB_SKIPPED) | STATUS_BIT(SEEN_WARNING) |
                          STATUS_BIT(SEEN_IGNORED),
                  JOB_SUCCESS },
                { STATUS_BIT(JOB_CREATED) | STATUS_BIT(SEEN_WARNING) | STATUS_BIT(SEEN_IGNORED), JOB_CREATED },
                { STATUS_BIT(JOB_CANCELED) | STATUS_BIT(JOB_SUCCESS) | STATUS_BIT(JOB_SKIPPED) |
                          STATUS_BIT(SEEN_WARNING) | STATUS_BIT(SEEN_IGNORED),
                  JOB_CANCELED },
                { STATUS_BIT(JOB_PENDING) | STATUS_BIT(JOB_CREATED) | STATUS_BIT(JOB_SKIPPED) |
                          STATUS_BIT(SEEN_WARNING) | STATUS_BIT(SEEN_IGNORED),
                  JOB_PENDING },
        };
        static const struct {
                unsigned any;
                JobStatus status;
        } others[] = {
                { STATUS_BIT(JOB_RUNNING) | STATUS_BIT(JOB_PENDING), JOB_RUNNING },
                { STATUS_BIT(JOB_MANUAL), JOB_MANUAL },
                { STATUS_BIT(JOB_SCHEDULED), JOB_SCHEDULED },
                { STATUS_BIT(JOB_CREATED), JOB_RUNNING },
                { STATUS_BIT(JOB_CANCELING), JOB_CANCELING },
        };

        if (seen == 0)
                return JOB_SUCCESS;
        if (by_needs && seen & (STATUS_BIT(JOB_SKIPPED) | STATUS_BIT(SEEN_IGNORED)))
                return JOB_SKIPPED;
        if (by_needs && seen & ~ended)
                return JOB_PENDING;
        for (size_t i = 0; i < ELEMENTSOF(rules); i++)
                if (!(seen & ~rules[i].only))
                        return rules[i].status;
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                if (seen & others[i].any)
                        return others[i].status;
        return JOB_FAILED;
}
