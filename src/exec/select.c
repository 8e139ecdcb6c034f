/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides which jobs of a pipeline `exec` runs: all, or those that the command line names, with or without what they
 * need. Called by exec.c after the evaluation. It changes nothing of the pipeline, and starts nothing. */

#include "exec/select.h"

#include <stdio.h>

#include "base/log.h"
#include "base/string.h"
#include "terminal/ansi.h"

typedef struct Selection {
        Pipeline *pipeline;
        RunTake *take;
} Selection;

static int unknown(Pipeline *pipeline, const char *name) {
        Value *names = value_new(&pipeline->arena, VALUE_MAP, (Place){ 0 });

        for (size_t i = 0; i < pipeline->n_jobs; i++)
                map_set(&pipeline->arena, names, pipeline->jobs[i].name, pipeline->jobs[i].place, names);
        log_error("There is no job '%s'%s", name, nearest_key_hint(&pipeline->arena, name, names));
        log_notice("'nspawn-runner exec --list --all' shows all jobs");
        return -ENOENT;
}

/* A job, or all that were made of one in the configuration. */
static int want(Selection *selection, const char *name, RunTake take) {
        const Pipeline *pipeline = selection->pipeline;
        bool found = false;

        for (size_t i = 0; i < pipeline->n_jobs; i++) {
                const PipelineJob *job = pipeline->jobs + i;

                if (!streq(job->name, name) && !streq(job->group, name))
                        continue;
                if (!job->included)
                        log_warning("Job '%s' is not in this pipeline (%s); it runs because it is named", job->name,
                                    job->reason);
                selection->take[i] = take;
                found = true;
        }
        return found ? 0 : unknown(selection->pipeline, name);
}

static int want_stage(Selection *selection, const char *stage) {
        const Pipeline *pipeline = selection->pipeline;

        if (!map_find(pipeline->stage_places, stage)) {
                log_error("There is no stage '%s'", stage);
                return -ENOENT;
        }
        for (size_t i = 0; i < pipeline->n_jobs; i++)
                if (streq(pipeline->jobs[i].stage, stage) && pipeline->jobs[i].included)
                        selection->take[i] = RUN_TAKE;
        return 0;
}

static bool waits_for(const Pipeline *pipeline, const PipelineJob *job, size_t other) {
        if (!job->by_needs)
                return pipeline->jobs[other].stage_index < job->stage_index;
        for (size_t n = 0; n < job->n_needs; n++)
                if (job->needs[n].job == other)
                        return true;
        return false;
}

/* What wanted jobs wait for, and so on. */
static void want_needs(Selection *selection) {
        const Pipeline *pipeline = selection->pipeline;

        for (bool again = true; again;) {
                again = false;
                for (size_t i = 0; i < pipeline->n_jobs; i++)
                        for (size_t k = 0; selection->take[i] != RUN_LEAVE && k < pipeline->n_jobs; k++)
                                if (selection->take[k] == RUN_LEAVE && pipeline->jobs[k].included &&
                                    waits_for(pipeline, pipeline->jobs + i, k)) {
                                        selection->take[k] = RUN_TAKE;
                                        again = true;
                                }
        }
}

/* What options and arguments name. */
static int want_named(Selection *selection, const Invocation *invocation) {
        const char *shell = invocation_option(invocation, "shell"), *stage, *manual;
        int r;

        for (unsigned i = 0; (stage = invocation_option_at(invocation, "stage", i)); i++) {
                r = want_stage(selection, stage);
                if (r < 0)
                        return r;
        }
        for (unsigned i = 0; i < invocation->n_arguments; i++) {
                r = want(selection, invocation->arguments[i], RUN_DEMAND);
                if (r < 0)
                        return r;
        }
        for (unsigned i = 0; (manual = invocation_option_at(invocation, "manual", i)); i++) {
                r = want(selection, manual, RUN_PLAY);
                if (r < 0)
                        return r;
        }
        return shell ? want(selection, shell, RUN_DEMAND) : 0;
}

int exec_select(const Invocation *invocation, Pipeline *pipeline, RunTake **ret) {
        Selection selection = { pipeline, arena_alloc(&pipeline->arena, pipeline->n_jobs * sizeof(RunTake)) };
        bool all = invocation->n_arguments == 0 && !invocation_has(invocation, "shell") &&
                   !invocation_has(invocation, "stage");

        if (invocation_has(invocation, "needs") && all) {
                log_error("--needs goes with the names of jobs");
                return COMMAND_MISUSED;
        }
        for (size_t i = 0; all && i < pipeline->n_jobs; i++)
                selection.take[i] = pipeline->jobs[i].included ? RUN_TAKE : RUN_LEAVE;
        int r = want_named(&selection, invocation);
        if (r < 0)
                return r;
        if (invocation_has(invocation, "needs"))
                want_needs(&selection);
        *ret = selection.take;
        return 0;
}

static void print_job(const char *before, const char *name, const char *behind) {
        _cleanup_free_ char *plain = ansi_plain(name);

        (void) printf("%s%s%s\n", before, plain ? plain : "", behind);
}

void exec_dry_run(Pipeline *pipeline, const RunTake *take) {
        const RunEnd success = { .success = true };
        RunState state;
        size_t job;

        run_state_init(&state, pipeline, take);
        for (unsigned round = 1; !run_state_idle(&state); round++) {
                size_t *started = NULL, n = 0;

                while ((job = run_state_next(&state)) != SIZE_MAX) {
                        run_state_start(&state, job);
                        ARENA_APPEND(&pipeline->arena, started, n, job);
                        print_job(arena_printf(&pipeline->arena, "%u ", round), pipeline->jobs[job].name, "");
                }
                for (size_t i = 0; i < n; i++)
                        (void) run_state_finish(&state, started[i], &success);
        }
        for (size_t i = 0; i < pipeline->n_jobs; i++)
                if (state.jobs[i].take != RUN_LEAVE && state.jobs[i].status != JOB_SUCCESS)
                        print_job("- ", pipeline->jobs[i].name,
                                  arena_printf(&pipeline->arena, ": %s", job_status_name(state.jobs[i].status)));
}
