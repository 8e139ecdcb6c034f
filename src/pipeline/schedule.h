/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/pipeline.h"

/* Which jobs of a pipeline run when, as GitLab's own engine decides. Nothing is run here: the caller says how jobs ended and
 * asks what comes next. */

typedef enum JobStatus {
        JOB_CREATED, /* waits for others */
        JOB_PENDING, /* may start */
        JOB_RUNNING,
        JOB_SUCCESS,
        JOB_FAILED,
        JOB_CANCELED,
        JOB_SKIPPED,
        JOB_MANUAL,    /* waits for a person */
        JOB_SCHEDULED, /* waits for its delay, which counts as a person here */
} JobStatus;

const char *job_status_name(JobStatus status);

typedef struct StatusEntry {
        JobStatus status;
        bool allow_failure;
} StatusEntry;

/* The status that several jobs have together. With @by_needs, as a job sees those that it needs. */
JobStatus status_composite(const StatusEntry *entries, size_t n, bool by_needs);

typedef struct ScheduleJob {
        JobStatus status;
        bool allow_failure; /* its failure counts as none; known for certain once it has ended */
        unsigned n_tries;
} ScheduleJob;

typedef struct Schedule {
        Pipeline *pipeline;
        ScheduleJob *jobs; /* parallel to the pipeline's; of those that are not included, nothing is said */
} Schedule;

/* In the pipeline's arena. */
void schedule_init(Schedule *schedule, Pipeline *pipeline);

/* Moves on every job whose turn has come: to pending, manual, scheduled or skipped. True if any moved. */
bool schedule_update(Schedule *schedule);

/* A pending job starts; a manual or scheduled one is let go. */
void schedule_start(Schedule *schedule, size_t job);
void schedule_play(Schedule *schedule, size_t job);

/* A job has ended with @exit_code. A failure that "retry" covers makes it pending again: then true is returned. */
bool schedule_finish(Schedule *schedule, size_t job, bool success, int exit_code);

/* All that have not ended are cancelled. */
void schedule_cancel(Schedule *schedule);

/* Of the whole pipeline. */
JobStatus schedule_status(const Schedule *schedule);

/* The round in which each job would start if all went well and nobody played a manual job: from 1; 0: it does not start
 * in that case. Also leaves the status that each job has in the end in *ret_schedule. In the pipeline's arena. */
const unsigned *schedule_rounds(Pipeline *pipeline, Schedule *ret_schedule);
