/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "exec/log.h"
#include "pipeline/run-state.h"

/* The lines at the bottom of a terminal that show how far a pipeline is: its stages, and the jobs that run, with their time.
 * What else is printed goes above them: they are cleared before and drawn again afterwards. */

#define EXEC_LIVE_JOBS_MAX 8U

typedef struct ExecLiveJob {
        size_t job;
        uint64_t begin_usec;
        const char *title; /* of its stage, or NULL */
} ExecLiveJob;

typedef struct ExecLive {
        ExecScreen screen;
        unsigned n_lines; /* that are drawn now */
} ExecLive;

/* Removes the lines from the screen. */
void exec_live_clear(ExecLive *live);

/* Draws them, at most @rows - 1 lines of at most @columns. @jobs are those that run; times are monotonic. */
void exec_live_draw(ExecLive *live, const RunState *state, const ExecLiveJob *jobs, size_t n_jobs, unsigned columns,
                    unsigned rows, uint64_t begin_usec, uint64_t now_usec);
