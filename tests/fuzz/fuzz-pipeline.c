/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "base/string.h"
#include "fuzz.h"
#include "pipeline/pipeline.h"
#include "pipeline/run-state.h"

/* A configuration, with a file "a.yml" behind its first NUL byte. What is accepted must be whole: jobs in stages that
 * are there, needs that lead to jobs, and every job can be explained and has its turn or not. */

typedef struct Input {
        const char *text[2];
        size_t size[2];
} Input;

static int read_file(void *userdata, const PipelineRoot *root, const char *path, char **ret_data, size_t *ret_size,
                     const char **reterr_why) {
        const Input *input = userdata;
        size_t i = streq(path, "a.yml");

        *reterr_why = NULL;
        if (root)
                return -EUNATCH;
        if (!streq(path, "a.yml") && !streq(path, ".gitlab-ci.yml"))
                return -ENOENT;
        char *copy = malloc(input->size[i] + 1);
        FUZZ_ASSERT(copy);
        memcpy(copy, input->text[i], input->size[i]);
        copy[input->size[i]] = 0;
        *ret_data = copy;
        *ret_size = input->size[i];
        return 0;
}

static int list_files(_unused_ void *userdata, const PipelineRoot *root, char *const **ret_paths,
                      const char **reterr_why) {
        static char *const paths[] = { ".gitlab-ci.yml", "a.yml", "src/x.c", NULL };

        *reterr_why = NULL;
        *ret_paths = paths;
        return root ? -EUNATCH : 0;
}

static int list_changes(_unused_ void *userdata, const char *compare_to, char *const **ret_paths) {
        static char *const paths[] = { "src/x.c", NULL };

        *ret_paths = paths;
        return compare_to && *compare_to == 'x' ? -ENOENT : 0;
}

static void check_job(Pipeline *pipeline, const PipelineJob *job) {
        Text text = { .arena = &pipeline->arena };

        FUZZ_ASSERT(job->stage_index < pipeline->n_stages && streq(pipeline->stages[job->stage_index], job->stage));
        FUZZ_ASSERT(job->reason && job->config->type == VALUE_MAP);
        FUZZ_ASSERT(job->node_total >= 1 && job->node_index <= job->node_total);
        for (size_t k = 0; k < job->n_needs; k++)
                FUZZ_ASSERT(job->needs[k].job == SIZE_MAX || job->needs[k].job < pipeline->n_jobs);
        pipeline_explain(pipeline, job, &text);
        FUZZ_ASSERT(strlen(text_get(&text)) > 0);
}

static void check(Pipeline *pipeline) {
        const Problems *problems = &pipeline->context.problems;
        Text json = { .arena = &pipeline->arena };
        RunState state;

        if (setjmp(pipeline->arena.exhausted) != 0)
                return;
        for (size_t i = 0; i < problems->n; i++)
                FUZZ_ASSERT(problems->items[i].text[0]);
        if (problems->n > 0)
                return;
        FUZZ_ASSERT(pipeline->n_jobs > 0 && pipeline->reason);
        value_to_json(&json, pipeline->config);
        for (size_t i = 0; i < MIN(pipeline->n_jobs, (size_t) 50); i++)
                check_job(pipeline, pipeline->jobs + i);
        const unsigned *rounds = run_state_rounds(pipeline, &state);
        for (size_t i = 0; i < pipeline->n_jobs; i++)
                FUZZ_ASSERT((rounds[i] > 0) == (state.jobs[i].status == JOB_SUCCESS));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
        size_t first = nul ? (size_t) (nul - data) : size;
        Input input = { { (const char *) data, nul ? (const char *) nul + 1 : "" },
                        { first, nul ? size - first - 1 : 0 } };
        PipelineProvider provider = { read_file, list_files, NULL, list_changes, &input };
        Arena arena;

        arena_init(&arena, (size_t) 1 << 20);
        if (setjmp(arena.exhausted) != 0)
                abort();
        Variables variables = { .arena = &arena };
        variables_set_text(&variables, "CI", "true");
        variables_set_text(&variables, "CI_COMMIT_BRANCH", "main");
        PipelineRequest request = { .provider = &provider,
                                    .file = ".gitlab-ci.yml",
                                    .host = "gitlab.example.com",
                                    .source = "push",
                                    .ref = "main",
                                    .project_path = "g/p",
                                    .predefined = &variables,
                                    .project = &variables,
                                    .pipeline = &variables };
        Pipeline *pipeline = NULL;

        FUZZ_ASSERT(pipeline_evaluate(&request, &pipeline) == 0);
        check(pipeline);
        pipeline_free(pipeline);
        arena_done(&arena);
        return 0;
}
