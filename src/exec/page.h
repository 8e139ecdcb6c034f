/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdio.h>

#include "pipeline/junit.h"
#include "pipeline/run-state.h"

/* The page of `exec --report`: what a run came to, as one file of HTML that needs nothing else, no scripts either. All text of
 * jobs and of the repository is escaped, and the page forbids the browser to load anything. */

/* One try of a job. */
typedef struct ExecTry {
        size_t job;                    /* in Pipeline.jobs */
        uint64_t begin_usec, end_usec; /* monotonic */
        JobStatus status;              /* success, failed or canceled */
        char reason[480];              /* why it failed, for people; "" for success */
        char kept[48];                 /* the id of the job if its container stays, or "" */
} ExecTry;

typedef enum ExecLineKind {
        EXEC_LINE_TRY,     /* a further try of the job begins */
        EXEC_LINE_SECTION, /* a stage of the job */
        EXEC_LINE_LOG,
} ExecLineKind;

typedef struct ExecPage {
        const RunState *state; /* at its end */
        const ExecTry *tries;  /* as they began */
        size_t n_tries;
        uint64_t begin_usec, end_usec; /* monotonic */
        const char *project, *ref, *commit, *date;
        const JunitSummary *tests;
        /* Calls @line with @to for each line of the job's log. 0 or -errno; NULL: there are no logs. */
        int (*log)(void *userdata, size_t job, void (*line)(FILE *to, ExecLineKind kind, const char *text), FILE *to);
        void *userdata;
} ExecPage;

/* Writes the page. 0; or -errno of the log or of the memory. Errors of the stream are for the caller to see with ferror(). */
int exec_page_write(const ExecPage *page, FILE *to);

/* What its parts share. */

/* The text with everything escaped that HTML and XML know; what is not UTF-8 becomes U+FFFD, control characters go. */
void exec_page_text(FILE *to, const char *text, size_t size);
/* At most @columns wide, with an ellipsis if it was longer. */
void exec_page_short_text(FILE *to, const char *text, unsigned columns);
/* A line of a log, with its colours. */
void exec_page_log_line(FILE *to, ExecLineKind kind, const char *text);

/* The class of its colour, a sign and a word: an allowed failure is a warning. */
typedef struct ExecStatusLook {
        const char *class, *sign, *word;
} ExecStatusLook;
ExecStatusLook exec_status_look(JobStatus status, bool allow_failure);

/* The same for the whole run: something that failed counts more than what waits for a person. */
ExecStatusLook exec_run_look(const RunState *state);
/* What follows that and the duration: " (manual in GitLab, ...)" where GitLab puts what waits first, else "". */
const char *exec_run_remark(const RunState *state);

/* Why a job ended as it did or did not start, "" for success; @ret has room for it. */
#define EXEC_REASON_BYTES_MAX 560
const char *exec_job_reason(const RunState *state, size_t job, const ExecTry *last,
                            char ret[static EXEC_REASON_BYTES_MAX]);

/* "12.3s", "3m 04s", "1h 02m". */
#define EXEC_DURATION_BYTES_MAX 32
const char *exec_duration(uint64_t usec, char ret[static EXEC_DURATION_BYTES_MAX]);

/* The stages as columns, jobs in them, and lines for needs. 0 or -ENOMEM. */
int exec_page_graph(const ExecPage *page, FILE *to);
/* What ran when. 0 or -ENOMEM. */
int exec_page_gantt(const ExecPage *page, FILE *to);
