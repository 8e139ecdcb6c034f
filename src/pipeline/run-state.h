/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/failure.h"
#include "pipeline/job-status.h"

/* Which jobs of a pipeline run when, as GitLab's own engine decides. Nothing is run here: the caller starts what may start,
 * says how jobs ended, and asks what comes next. Sources: GitLab's processing of a pipeline and its automatic
 * retries. */

/* What becomes of a job of the pipeline in this run. */
typedef enum RunTake {
        RUN_LEAVE,  /* it is not there: nobody waits for it */
        RUN_TAKE,   /* as the pipeline has it */
        RUN_PLAY,   /* the same, but a manual or delayed job starts as if a person had started it */
        RUN_DEMAND, /* the same, and with nothing before it in this run it starts even if it is only for failures */
} RunTake;

typedef struct RunJob {
        RunTake take;
        JobStatus status;
        bool allow_failure; /* its failure counts as none; known for certain once it has ended */
        unsigned n_tries;
        const char *failure; /* why the last try failed, as in RunEnd; NULL: it did not */
        int exit_code;       /* of the last try, or -1 */
        size_t because;      /* of a skipped job: the one that is to blame, or SIZE_MAX */
} RunJob;

typedef struct RunState {
        Pipeline *pipeline;
        RunJob *jobs;     /* parallel to the pipeline's; to be read only */
        bool interrupted; /* run_state_cancel() was called */
        struct RunOrder *order;
} RunState;

/* @take has one entry for each job of the pipeline; NULL: RUN_TAKE for all that are included. Everything is allocated here,
 * in the pipeline's arena, so that the functions below never fail. The jobs that start first are pending afterwards. */
void run_state_init(RunState *state, Pipeline *pipeline, const RunTake *take);

/* The pending job to start next: the first one, by stages and the order of the configuration, whose resource group is not
 * in use. SIZE_MAX: there is none now. */
size_t run_state_next(const RunState *state);

/* No job runs, and none may start: the end, or a person has to start what is left. */
bool run_state_idle(const RunState *state);

/* A pending job starts. */
void run_state_start(RunState *state, size_t job);

typedef enum RunNext {
        RUN_GOES_ON,   /* the job has ended; others may be pending now */
        RUN_TRY_AGAIN, /* "retry" covers this failure: the job is pending again */
        RUN_CANCELS,   /* "auto_cancel: on_job_failure": as with run_state_cancel() for all others */
} RunNext;

/* A running job has ended, or one that was to be ended: that one is cancelled in any case. */
RunNext run_state_finish(RunState *state, size_t job, const RunEnd *end);

/* A person starts a manual or scheduled job. What was skipped because of it waits again. */
void run_state_play(RunState *state, size_t job);

/* A person cancels: what waits is cancelled; what runs is JOB_CANCELING until run_state_finish(). Manual jobs stay. */
void run_state_cancel(RunState *state);

/* Of the whole run. */
JobStatus run_state_status(const RunState *state);

/* The pipeline cannot end unless a person starts this job: it is manual without allow_failure, or scheduled. */
bool run_state_blocks(const RunState *state, size_t job);

/* The exit status of the command: 0 for success, for nothing to do, and if only people can go on; 1 for a failure; 130 if a
 * person cancelled. Only meaningful when idle. */
int run_state_exit_status(const RunState *state);

/* The round in which each job would start if all went well and nobody played a manual job: from 1; 0: it does not start
 * in that case. Also leaves the status that each job has in the end in *ret_state. In the pipeline's arena. */
const unsigned *run_state_rounds(Pipeline *pipeline, RunState *ret_state);
