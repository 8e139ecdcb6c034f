/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "local/event.h"
#include "pipeline/run-state.h"

/* What people see of a pipeline that runs: the loop of `exec` (exec-run.c) calls these functions as things happen, all from one
 * process, and nothing else of a run prints to standard output. This is the plain form: each line of a job's log with the
 * job's name before it. Other forms (a live view, a table at the end, a report) are added behind the same functions. */
typedef struct ExecOutput {
        Pipeline *pipeline;
        const RunState *state; /* how all jobs are, whenever a function is called */
        bool terminal;         /* standard output is one */
        int name_width;        /* of the names of jobs */
} ExecOutput;

typedef struct ExecJobResult {
        JobFailure failure;  /* FAILURE_NONE: success */
        bool again;          /* it failed, and will be tried again */
        int exit_code;       /* of its script; -1: not known */
        const char *reason;  /* of a failure */
        uint64_t begin_usec; /* wall clock, as the end */
        uint64_t end_usec;
} ExecJobResult;

void exec_output_begin(ExecOutput *output, Pipeline *pipeline, const RunState *state);
/* Job @job is an index in the pipeline's jobs; @try from 1. */
void exec_output_job_started(ExecOutput *output, size_t job, unsigned try);
/* A stage of the job begins. */
void exec_output_section(ExecOutput *output, size_t job, const char *title);
/* A line of the job's log, without its end; may have colours and other sequences of a terminal. */
void exec_output_line(ExecOutput *output, size_t job, const char *line);
void exec_output_job_ended(ExecOutput *output, size_t job, const ExecJobResult *result);
/* Once; what every job came to is in the state. */
void exec_output_pipeline_ended(ExecOutput *output);
