/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds the jobs whose artifacts and dotenv variables a job gets. run.c calls this in the process of the job, and child.c in
 * that of one with 'trigger'. It reads nothing of what they left. */

#include "exec/earlier.h"

const WorkerSource *exec_earlier_jobs(const ExecLevel *level, size_t i, size_t *ret_n) {
        Pipeline *pipeline = level->state->pipeline;
        size_t *places = arena_alloc(&pipeline->arena, pipeline->n_jobs * sizeof(size_t));
        WorkerSource *sources = NULL;
        size_t n = pipeline_artifact_jobs(pipeline, pipeline->jobs + i, places);

        *ret_n = 0;
        for (size_t k = 0; k < n; k++)
                if (!run_state_has_not_run(level->state, places[k]))
                        ARENA_APPEND(&pipeline->arena, sources, *ret_n,
                                     ((WorkerSource){ level->store, pipeline->jobs[places[k]].name }));
        return sources;
}
