/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "local/worker.h"
#include "pipeline/run-state.h"

/* A pipeline that runs, as its jobs and child pipelines see it. */
typedef struct ExecLevel {
        const RunState *state;
        const LocalStore *store;
        uint64_t number; /* CI_PIPELINE_ID */
} ExecLevel;

/* Finds the jobs whose files and dotenv variables the job at place @i gets. Returns them, in the arena of the pipeline, in the
 * order in which files must be put in place, and their number. */
const WorkerSource *exec_earlier_jobs(const ExecLevel *level, size_t i, size_t *ret_n);
