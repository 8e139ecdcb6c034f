/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "exec/live.h"
#include "exec/spool.h"
#include "local/event.h"

/* What people see of a pipeline that runs: the loop of `exec` (run.c) calls these functions as things happen, all from one
 * process, and nothing else of a run prints to standard output. On a terminal, lines of jobs in colours, with what went well
 * folded, above lines that show how far the pipeline is; elsewhere plain lines. At the end a table, and the report. */

typedef struct ExecOutputSetup {
        const RunState *state; /* how all jobs are, whenever a function is called */
        const char *report;    /* file to write; NULL: none */
        const char *project, *ref, *commit;
        const char *shell; /* how people open a shell in a container that stays, without its id */
        bool plain;        /* a job has the terminal for itself */
} ExecOutputSetup;

typedef struct ExecOutput {
        ExecOutputSetup setup;
        ExecScreen screen;
        ExecLive live;
        ExecLog *logs; /* of each job; without a name if it does not run */
        ExecTry *tries;
        size_t n_tries;
        ExecLiveJob *running; /* in the order in which they began */
        size_t *tries_of;     /* of these, their places in @tries */
        size_t n_running;
        unsigned name_width;
        uint64_t begin_usec, drawn_usec;
        bool changed; /* since the lines at the bottom were drawn */
        Spool spool;
        FILE *report;
        JunitSummary *tests; /* of each job */
} ExecOutput;

typedef struct ExecJobResult {
        JobFailure failure; /* FAILURE_NONE: success */
        bool again;         /* it failed, and will be tried again */
        int exit_code;      /* of its script; -1: not known */
        const char *reason; /* of a failure */
} ExecJobResult;

/* The strings must live as long. 0; or -errno, logged: the report cannot be written, or there is no memory. */
int exec_output_begin(ExecOutput *output, const ExecOutputSetup *setup);
void exec_output_done(ExecOutput *output);

/* Job @job is an index in the pipeline's jobs; @try from 1. */
void exec_output_job_started(ExecOutput *output, size_t job, unsigned try);
/* A stage of the job begins. */
void exec_output_section(ExecOutput *output, size_t job, const char *title);
/* A line of the job's log, without its end; may have colours and other sequences of a terminal. */
void exec_output_line(ExecOutput *output, size_t job, const char *line);
void exec_output_job_ended(ExecOutput *output, size_t job, const ExecJobResult *result);
/* The container of the job, which has failed, stays under the id @id. */
void exec_output_kept(ExecOutput *output, size_t job, const char *id);
/* The pipeline is cancelled; @gently: what runs may still end as the jobs want. */
void exec_output_cancelled(ExecOutput *output, bool gently);
/* What the reports of tests of a job say (artifacts:reports:junit), as junit_format() wrote it. The last try counts. */
void exec_output_tests(ExecOutput *output, size_t job, const char *text);

/* exec_output_tick() prints what is not printed yet. Call it whenever the loop has done what there was to do. Then
 * the loop may wait for exec_output_timeout() milliseconds at most, as of poll(2). */
void exec_output_tick(ExecOutput *output);
int exec_output_timeout(const ExecOutput *output);

/* Prints the summary and writes the report. Call it once, when the state says how every job ended. 0; or -errno,
 * logged: the report could not be written. */
int exec_output_pipeline_ended(ExecOutput *output);
