/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds the jobs whose artifacts and dotenv variables a job gets. run.c calls this in the process of the job, and child.c in
 * that of one with 'trigger'. It reads nothing of what they left. */

#include "exec/earlier.h"

#include <inttypes.h>
#include <string.h>

#include "base/string.h"
#include "local/event.h"

typedef struct Search {
        const ExecLevel *level;
        const PipelineJob *job;
        Arena *arena;
        int events_fd;
        WorkerSource *sources;
        size_t n;
} Search;

/* A job that is part of the run and has not run leaves nothing. */
static void add(Search *search, const ExecLevel *level, size_t place) {
        if (!run_state_has_not_run(&level->state, place))
                ARENA_APPEND(search->arena, search->sources, search->n,
                             ((WorkerSource){ &level->store, level->state.pipeline->jobs[place].name }));
}

static void warn(const Search *search, const PipelineNeed *need, const char *elsewhere) {
        const char *text = arena_printf(search->arena,
                                        "\033[0;33mWARNING: nothing of job '%s' of %s '%s' is here: 'needs' brings "
                                        "files of this pipeline and of those above it only\033[0;m",
                                        need->name, need->of_project ? "project" : "pipeline", elsewhere);

        (void) event_send_text(search->events_fd, EVENT_LINE, text, strlen(text));
}

/* The number of the pipeline that @need names. */
static const char *pipeline_of(const Search *search, const PipelineNeed *need) {
        Variables variables = { .arena = search->arena }, expanded;
        const char *loop;

        variables_set_all(&variables, &search->job->variables);
        local_add_pipeline(search->level->state.pipeline, search->level->number, &variables);
        (void) variables_expand_nested(&variables, true, &expanded, &loop);
        return variables_expand(&expanded, need->elsewhere, true);
}

static void add_elsewhere(Search *search, const PipelineNeed *need) {
        const char *elsewhere = pipeline_of(search, need);
        const ExecLevel *level = need->of_project ? NULL : search->level->above;

        while (level && !streq(arena_printf(search->arena, "%" PRIu64, level->number), elsewhere))
                level = level->above;
        if (!level) {
                warn(search, need, elsewhere);
                return;
        }
        const Pipeline *pipeline = level->state.pipeline;
        for (size_t i = 0; i < pipeline->n_jobs; i++)
                if (streq(pipeline->jobs[i].name, need->name))
                        add(search, level, i);
}

const WorkerSource *exec_earlier_jobs(const ExecLevel *level, size_t i, int events_fd, size_t *ret_n) {
        Pipeline *pipeline = level->state.pipeline;
        Search search = {
                .level = level, .job = pipeline->jobs + i, .arena = &pipeline->arena, .events_fd = events_fd
        };
        size_t *places = arena_alloc(search.arena, pipeline->n_jobs * sizeof(size_t));
        size_t n = pipeline_artifact_jobs(pipeline, search.job, places);

        for (size_t k = 0; k < n; k++)
                add(&search, level, places[k]);
        for (size_t k = 0; k < search.job->n_needs; k++) {
                const PipelineNeed *need = search.job->needs + k;

                if (need->elsewhere && need->artifacts && *need->name)
                        add_elsewhere(&search, need);
        }
        *ret_n = search.n;
        return search.sources;
}
