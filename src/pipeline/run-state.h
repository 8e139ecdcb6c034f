/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/failure.h"
#include "pipeline/job-status.h"

/* Which jobs of a pipeline run when, as GitLab's own engine decides. This runs nothing: the caller starts the jobs that
 * may start, tells how jobs ended, and asks what comes next. Sources: GitLab's processing of a pipeline and its
 * automatic retries. */

/* What becomes of a job of the pipeline in this run. */
typedef enum RunTake {
        RUN_LEAVE,  /* leave it out: nobody waits for it */
        RUN_TAKE,   /* run it as the pipeline says */
        RUN_PLAY,   /* the same, but a manual or delayed job starts as if a person had started it */
        RUN_DEMAND, /* the same, and with nothing before it in this run it starts even if it is only for failures */
} RunTake;

typedef struct RunJob {
        RunTake take;
        JobStatus status;
        bool allow_failure; /* its failure does not count; final once the job has ended */
        unsigned n_tries;
        const char *failure; /* why the last try failed, as in RunEnd; NULL: it did not fail */
        int exit_code;       /* of the last try, or -1 */
        size_t because;      /* of a skipped job: the job because of which it is skipped, or SIZE_MAX */
} RunJob;

typedef struct RunState {
        Pipeline *pipeline;
        RunJob *jobs;     /* parallel to the pipeline's; to be read only */
        bool interrupted; /* run_state_cancel() was called */
        struct RunOrder *order;
} RunState;

/* @take has one entry for each job of the pipeline; NULL: RUN_TAKE for all that are included. Allocates everything
 * here, in the pipeline's arena, so that the functions below never fail. Afterwards the jobs that start first are
 * pending. */
void run_state_init(RunState *state, Pipeline *pipeline, const RunTake *take);

/* Returns the pending job to start next: the first one, by stages and the order of the configuration, whose resource
 * group is not in use. SIZE_MAX: there is none now. */
size_t run_state_next(const RunState *state);

/* Does no job run, and may none start? Then the run has ended, or a person has to start what is left. */
bool run_state_idle(const RunState *state);

/* Tells that a pending job was started. */
void run_state_start(RunState *state, size_t job);

/* Is the job part of this run without having run in it, up to now? Then others get none of its files: what there is was
 * left by an earlier run. */
static inline bool run_state_has_not_run(const RunState *state, size_t job) {
        return state->jobs[job].take != RUN_LEAVE && state->jobs[job].n_tries == 0;
}

typedef enum RunNext {
        RUN_GOES_ON,   /* the job has ended; others may be pending now */
        RUN_TRY_AGAIN, /* "retry" covers this failure: the job is pending again */
        RUN_CANCELS,   /* "auto_cancel: on_job_failure": as with run_state_cancel() for all others */
} RunNext;

/* Tells that a running or canceling job has ended. A canceling job becomes canceled however it ended. */
RunNext run_state_finish(RunState *state, size_t job, const RunEnd *end);

/* Cancels the run as if a person had done so: waiting jobs are canceled, running jobs are JOB_CANCELING until
 * run_state_finish(). Manual jobs stay. */
void run_state_cancel(RunState *state);

/* Returns the status of the whole run. */
JobStatus run_state_status(const RunState *state);

/* Must a person start this job before the pipeline can end? True for a job that is scheduled, or manual without
 * allow_failure. */
bool run_state_blocks(const RunState *state, size_t job);

/* Returns the exit status of the command: 0 for success, for nothing to do, and if only people can go on; 1 for a
 * failure; 130 if a person cancelled. Only meaningful when the run is idle. */
int run_state_exit_status(const RunState *state);

/* Returns the round, from 1, in which each job would start if all jobs succeeded and nobody started a manual one; 0: it
 * would not start. *ret_state gets the status that each job has at the end. Both are in the pipeline's arena. */
const unsigned *run_state_rounds(Pipeline *pipeline, RunState *ret_state);
