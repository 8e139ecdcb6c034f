/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "exec/page.h"

/* The logs of all jobs of a run, kept for its report in one file without a name: lines of jobs that run at the same time come
 * mixed, and each one knows the line before it of the same job. */

/* The report of a job is not larger than that; what comes after is left out, and the log says so. */
#define SPOOL_JOB_BYTES_MAX ((uint64_t) 8 * 1024 * 1024)

typedef struct SpoolJob SpoolJob;

typedef struct Spool {
        FILE *file; /* NULL: nothing is kept */
        uint64_t size;
        SpoolJob *jobs;
        bool broken; /* the file could not be written to the end */
} Spool;

/* Makes the file in TMPDIR, or in /tmp, or else in memory. 0 or -errno. */
int spool_open(Spool *spool, size_t n_jobs);
void spool_done(Spool *spool);

/* Failures are remembered, and seen by the reader. */
void spool_add(Spool *spool, size_t job, ExecLineKind kind, const char *text);

/* Calls @line for each line of a job's log, in order. 0 or -errno. */
int spool_read(Spool *spool, size_t job, void (*line)(FILE *to, ExecLineKind kind, const char *text), FILE *to);
