/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides which job's turn it is: stages and needs, manual jobs, jobs that run after failures. Called by the command
 * `exec` to show the order of jobs. */

#include "pipeline/schedule.h"

#include "base/string.h"

/* A status with what allow_failure makes of it. */
typedef enum Seen {
        SEEN_WARNING = JOB_SCHEDULED + 1, /* an allowed failure */
        SEEN_IGNORED,                     /* a manual job that nothing waits for */
} Seen;

#define BIT(status) (1u << (status))

const char *job_status_name(JobStatus status) {
        static const char *const names[] = { "created",  "pending", "running", "success",  "failed",
                                             "canceled", "skipped", "manual",  "scheduled" };

        return names[status];
}

static unsigned seen_bit(const StatusEntry *entry) {
        if (entry->allow_failure && (entry->status == JOB_FAILED || entry->status == JOB_CANCELED))
                return BIT(SEEN_WARNING);
        if (entry->allow_failure && entry->status == JOB_MANUAL)
                return BIT(SEEN_IGNORED);
        return BIT(entry->status);
}

/* The same for the set of what was seen. */
static JobStatus composite_of(unsigned seen, bool by_needs) {
        const unsigned ended = BIT(JOB_SUCCESS) | BIT(JOB_FAILED) | BIT(JOB_CANCELED) | BIT(JOB_SKIPPED) |
                               BIT(SEEN_WARNING);
        static const struct {
                unsigned only;
                JobStatus status;
        } rules[] = {
                { BIT(JOB_SKIPPED) | BIT(SEEN_IGNORED), JOB_SKIPPED },
                { BIT(JOB_SUCCESS) | BIT(JOB_SKIPPED) | BIT(SEEN_WARNING) | BIT(SEEN_IGNORED), JOB_SUCCESS },
                { BIT(JOB_CREATED) | BIT(SEEN_WARNING) | BIT(SEEN_IGNORED), JOB_CREATED },
                { BIT(JOB_CANCELED) | BIT(JOB_SUCCESS) | BIT(JOB_SKIPPED) | BIT(SEEN_WARNING) | BIT(SEEN_IGNORED),
                  JOB_CANCELED },
                { BIT(JOB_PENDING) | BIT(JOB_CREATED) | BIT(JOB_SKIPPED) | BIT(SEEN_WARNING) | BIT(SEEN_IGNORED),
                  JOB_PENDING },
        };

        if (seen == 0)
                return JOB_SUCCESS;
        if (by_needs && seen & (BIT(JOB_SKIPPED) | BIT(SEEN_IGNORED)))
                return JOB_SKIPPED;
        if (by_needs && seen & ~ended)
                return JOB_PENDING;
        for (size_t i = 0; i < ELEMENTSOF(rules); i++)
                if (!(seen & ~rules[i].only))
                        return rules[i].status;
        if (seen & (BIT(JOB_RUNNING) | BIT(JOB_PENDING)))
                return JOB_RUNNING;
        if (seen & BIT(JOB_MANUAL))
                return JOB_MANUAL;
        if (seen & BIT(JOB_SCHEDULED))
                return JOB_SCHEDULED;
        return seen & BIT(JOB_CREATED) ? JOB_RUNNING : JOB_FAILED;
}

JobStatus status_composite(const StatusEntry *entries, size_t n, bool by_needs) {
        unsigned seen = 0;

        for (size_t i = 0; i < n; i++)
                seen |= seen_bit(entries + i);
        return composite_of(seen, by_needs);
}

static unsigned job_bit(const Schedule *schedule, size_t i) {
        return seen_bit(&(StatusEntry){ schedule->jobs[i].status, schedule->jobs[i].allow_failure });
}

void schedule_init(Schedule *schedule, Pipeline *pipeline) {
        *schedule = (Schedule){ .pipeline = pipeline };
        schedule->jobs = arena_alloc(&pipeline->arena, pipeline->n_jobs * sizeof(ScheduleJob));
        for (size_t i = 0; i < pipeline->n_jobs; i++)
                schedule->jobs[i].allow_failure = pipeline->jobs[i].allow_failure;
}

/* What becomes of a job after others with @before. */
static JobStatus next_status(const PipelineJob *job, JobStatus before) {
        bool passed = before == JOB_SUCCESS || (before == JOB_SKIPPED && !job->by_needs);

        switch (job->when) {
        case WHEN_ON_FAILURE:
                return before == JOB_FAILED ? JOB_PENDING : JOB_SKIPPED;
        case WHEN_ALWAYS:
                return before == JOB_CANCELED ? JOB_SKIPPED : JOB_PENDING;
        case WHEN_MANUAL:
                return passed ? JOB_MANUAL : JOB_SKIPPED;
        case WHEN_DELAYED:
                return passed ? JOB_SCHEDULED : JOB_SKIPPED;
        default:
                return passed ? JOB_PENDING : JOB_SKIPPED;
        }
}

static bool update_job(Schedule *schedule, size_t i, JobStatus before) {
        const PipelineJob *job = schedule->pipeline->jobs + i;

        if (job->by_needs) {
                unsigned seen = 0;

                for (size_t k = 0; k < job->n_needs; k++)
                        if (job->needs[k].job != SIZE_MAX)
                                seen |= job_bit(schedule, job->needs[k].job);
                before = composite_of(seen, true);
        }
        if (before != JOB_SUCCESS && before != JOB_FAILED && before != JOB_CANCELED && before != JOB_SKIPPED)
                return false;
        schedule->jobs[i].status = next_status(job, before);
        return true;
}

bool schedule_update(Schedule *schedule) {
        const Pipeline *pipeline = schedule->pipeline;
        bool any = false, again = true;

        /* Jobs are in the order of their stages, so one look settles stages; needs within one may take more. */
        while (again) {
                unsigned seen = 0, stage_seen = 0;
                size_t stage = 0;

                again = false;
                for (size_t i = 0; i < pipeline->n_jobs; i++) {
                        if (!pipeline->jobs[i].included)
                                continue;
                        if (pipeline->jobs[i].stage_index != stage) {
                                seen |= stage_seen;
                                stage_seen = 0;
                                stage = pipeline->jobs[i].stage_index;
                        }
                        if (schedule->jobs[i].status == JOB_CREATED &&
                            update_job(schedule, i, composite_of(seen, false)))
                                any = again = true;
                        stage_seen |= job_bit(schedule, i);
                }
        }
        return any;
}

void schedule_start(Schedule *schedule, size_t job) {
        schedule->jobs[job].status = JOB_RUNNING;
        schedule->jobs[job].n_tries++;
}

void schedule_play(Schedule *schedule, size_t job) {
        schedule->jobs[job].status = JOB_PENDING;
}

static bool is_among(const Value *codes, int exit_code) {
        if (value_is(codes, VALUE_INTEGER))
                return codes->integer == exit_code;
        for (size_t i = 0; value_is(codes, VALUE_LIST) && i < codes->n_items; i++)
                if (codes->items[i]->integer == exit_code)
                        return true;
        return false;
}

/* Whether "retry" is meant for a script that failed with @exit_code. */
static bool retry_covers(const PipelineJob *job, int exit_code) {
        const Value *retry = map_get_set(job->config, "retry");
        const Value *when = map_get_set(retry, "when"), *codes = map_get_set(retry, "exit_codes");

        if (!when && !codes)
                return true;
        if (codes && is_among(codes, exit_code))
                return true;
        if (value_is(when, VALUE_STRING))
                return streq(when->string, "always") || streq(when->string, "script_failure");
        for (size_t i = 0; value_is(when, VALUE_LIST) && i < when->n_items; i++)
                if (value_is_string(when->items[i], "always") || value_is_string(when->items[i], "script_failure"))
                        return true;
        return false;
}

bool schedule_finish(Schedule *schedule, size_t i, bool success, int exit_code) {
        const PipelineJob *job = schedule->pipeline->jobs + i;

        if (success) {
                schedule->jobs[i].status = JOB_SUCCESS;
                return false;
        }
        if (schedule->jobs[i].n_tries <= job->retries && retry_covers(job, exit_code)) {
                schedule->jobs[i].status = JOB_PENDING;
                return true;
        }
        schedule->jobs[i].status = JOB_FAILED;
        if (job->exit_codes)
                schedule->jobs[i].allow_failure = is_among(job->exit_codes, exit_code);
        return false;
}

void schedule_cancel(Schedule *schedule) {
        for (size_t i = 0; i < schedule->pipeline->n_jobs; i++)
                if (schedule->jobs[i].status <= JOB_RUNNING || schedule->jobs[i].status >= JOB_MANUAL)
                        schedule->jobs[i].status = JOB_CANCELED;
}

JobStatus schedule_status(const Schedule *schedule) {
        unsigned seen = 0;

        for (size_t i = 0; i < schedule->pipeline->n_jobs; i++)
                if (schedule->pipeline->jobs[i].included)
                        seen |= job_bit(schedule, i);
        return composite_of(seen, false);
}

const unsigned *schedule_rounds(Pipeline *pipeline, Schedule *schedule) {
        unsigned *rounds = arena_alloc(&pipeline->arena, pipeline->n_jobs * sizeof(unsigned));

        schedule_init(schedule, pipeline);
        for (unsigned round = 1; schedule_update(schedule);) {
                bool any = false;

                for (size_t i = 0; i < pipeline->n_jobs; i++)
                        if (pipeline->jobs[i].included && schedule->jobs[i].status == JOB_PENDING) {
                                rounds[i] = round;
                                schedule->jobs[i].status = JOB_SUCCESS;
                                any = true;
                        }
                round += any;
        }
        return rounds;
}
