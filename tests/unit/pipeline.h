/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "unit.h"

#include "base/string.h"
#include "pipeline/pipeline.h"

/* What the tests of pipelines have in common: an arena, and projects whose files are in memory. */

/* An arena that ends the test when it is used up. */
#define TEST_ARENA(name)                       \
        _cleanup_arena_ Arena name;            \
        arena_init(&name, (size_t) 256 << 20); \
        if (setjmp(name.exhausted) != 0)       \
        fail_msg("the arena is used up")

typedef struct MemoryFile {
        const char *root, *path, *text;
} MemoryFile;

typedef struct MemoryProject {
        const MemoryFile *files; /* ends with one without a path */
        char *const *paths;      /* of the tree; NULL: none */
        char *const *changed;    /* NULL: nothing to compare with */
} MemoryProject;

static inline int memory_read(void *userdata, const PipelineRoot *root, const char *path, char **ret_data,
                              size_t *ret_size, const char **reterr_why) {
        const MemoryProject *project = userdata;
        bool known = !root;

        *reterr_why = NULL;
        for (const MemoryFile *file = project->files; file->path; file++) {
                if (!streq_null(file->root, root ? root->name : NULL))
                        continue;
                known = true;
                if (!streq(file->path, path))
                        continue;
                *ret_data = strdup(file->text);
                *ret_size = strlen(file->text);
                return 0;
        }
        return known ? -ENOENT : -EUNATCH;
}

static inline int memory_list(void *userdata, const PipelineRoot *root, char *const **ret_paths,
                              const char **reterr_why) {
        static char *const none[] = { NULL };
        const MemoryProject *project = userdata;

        *reterr_why = NULL;
        if (root)
                return -EUNATCH;
        *ret_paths = project->paths ? project->paths : none;
        return 0;
}

static inline int memory_changes(void *userdata, const char *compare_to, char *const **ret_paths) {
        const MemoryProject *project = userdata;

        if (compare_to && !streq(compare_to, "main"))
                return -ENOENT;
        if (!project->changed)
                return -ENODATA;
        *ret_paths = project->changed;
        return 0;
}

/* A whole evaluation. Predefined and other variables may be set before it. */
typedef struct TestPipeline {
        Arena arena;
        MemoryProject project;
        PipelineProvider provider;
        Variables predefined, of_project, of_pipeline;
        PipelineRequest request;
        Pipeline *pipeline;
} TestPipeline;

static inline void test_pipeline_init(TestPipeline *test, const MemoryFile *files) {
        memset(test, 0, sizeof(*test));
        arena_init(&test->arena, (size_t) 64 << 20);
        test->project.files = files;
        test->provider = (PipelineProvider){ memory_read, memory_list, NULL, memory_changes, &test->project };
        test->predefined.arena = test->of_project.arena = test->of_pipeline.arena = &test->arena;
        test->request = (PipelineRequest){ .provider = &test->provider,
                                           .file = ".gitlab-ci.yml",
                                           .host = "gitlab.example.com",
                                           .source = "push",
                                           .ref = "topic",
                                           .project_path = "group/project",
                                           .predefined = &test->predefined,
                                           .project = &test->of_project,
                                           .pipeline = &test->of_pipeline };
        if (setjmp(test->arena.exhausted) != 0)
                fail_msg("the arena is used up");
        variables_set_text(&test->predefined, "CI", "true");
        variables_set_text(&test->predefined, "CI_COMMIT_BRANCH", "topic");
        variables_set_text(&test->predefined, "CI_PIPELINE_SOURCE", "push");
}

static inline void test_pipeline_done(TestPipeline *test) {
        pipeline_free(test->pipeline);
        arena_done(&test->arena);
}

/* All problems, one a line: "FILE:LINE:COLUMN: TEXT". */
static inline const char *test_pipeline_problems(TestPipeline *test) {
        Text text = { .arena = &test->arena };
        const Problems *problems = &test->pipeline->context.problems;

        for (size_t i = 0; i < problems->n; i++)
                text_printf(&text, "%s:%u:%u: %s\n", problems->items[i].place.file ? problems->items[i].place.file : "",
                            problems->items[i].place.line, problems->items[i].place.column, problems->items[i].text);
        return text_get(&text);
}

static inline void test_pipeline_run(TestPipeline *test) {
        assert_int_equal(pipeline_evaluate(&test->request, &test->pipeline), 0);
        if (setjmp(test->pipeline->arena.exhausted) != 0)
                fail_msg("the arena is used up");
}
