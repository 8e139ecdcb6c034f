/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "exec/request.h"
#include "pipeline/run-state.h"

/* What of a pipeline is to run. */
typedef struct ExecRun {
        const Invocation *invocation;
        ExecRequest *request;
        Pipeline *pipeline;
        const RunTake *take;           /* of exec_select() */
        const char *parent;            /* the job whose child pipeline it is; or NULL */
        const struct ExecLevel *above; /* the pipeline of that job (exec/earlier.h) */
        unsigned depth;                /* how many are above it */
        int slots_fd;  /* of a child pipeline: a semaphore (eventfd) of the jobs that may run besides one of each
                              * pipeline; all pipelines of the run share it, and so no more run than --jobs allows */
        int cancel_fd; /* of a child pipeline: an eventfd, written to when the job above it is to end */
        int events_fd; /* where somebody says that the pipeline is to end */
        int broker_fd; /* the first connection (local/broker.h) */
} ExecRun;

#define EXEC_CANCELLED 130

/* What the command line asks for: an entry for each job of the pipeline, in its arena. 0; or -ENOENT or COMMAND_MISUSED,
 * logged. */
int exec_select(const Invocation *invocation, Pipeline *pipeline, RunTake **ret);

/* Prints what would run, if all went well. */
void exec_dry_run(Pipeline *pipeline, const RunTake *take);
