/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "local/worker.h"
#include "pipeline/run-state.h"

/* A pipeline that runs, as its jobs and child pipelines see it: copies, because the loop of a child pipeline takes the place of
 * the one above, in its process. */
typedef struct ExecLevel {
        RunState state;
        LocalStore store;
        uint64_t number;               /* CI_PIPELINE_ID */
        const struct ExecLevel *above; /* the pipeline that it is a child of; or NULL */
} ExecLevel;

/* Finds the jobs whose files and dotenv variables the job at place @i gets: of its pipeline and, by 'needs', of those above.
 * Returns them, in the arena of the pipeline, in the order in which files must be put in place, and their number. Says of
 * others that are needed and not here that they are not, on @events_fd. */
const WorkerSource *exec_earlier_jobs(const ExecLevel *level, size_t i, int events_fd, size_t *ret_n);
