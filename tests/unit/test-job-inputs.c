/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "pipeline.h"

#include "local/job-inputs.h"
#include "pipeline/yaml.h"

#define INPUTS                                                                                                     \
        "inputs: {target: {default: all}, n: {type: number, default: 3}, yes_no: {type: boolean, default: true}, " \
        "cost: {default: '$X'}, list: {type: array, default: [a]}, none: {}}, "

static const Value *load(Arena *arena, const char *text) {
        Problems problems = { .arena = arena };
        const Value *value = NULL;

        assert_int_equal(yaml_load(&problems, "f", 1, 1, text, strlen(text), &value), 0);
        return value;
}

/* All keywords in which GitLab Runner puts values, and no others. */
static void test_values(_unused_ void **state) {
        static const struct {
                const char *config, *expanded;
        } rows[] = {
                { INPUTS "script: ['make ${{ job.inputs.target }}', 'x${{job.inputs.n}}${{\tjob.inputs.yes_no }}${{ "
                         "job.inputs.cost }}']",
                  "script: [make all, 'x3true$X']" },
                { INPUTS "script: 'a ${{ job.inputs.target }}', before_script: [['${{ job.inputs.n }}']], "
                         "after_script: ['${{ job.inputs.n }}']",
                  "script: 'a all', before_script: [['3']], after_script: ['3']" },
                { INPUTS
                  "image: {name: 'i:${{ job.inputs.target }}'}, "
                  "services: [{name: 's:${{ job.inputs.n }}', variables: {A: '${{ x }}'}}, 't${{ job.inputs.n }}']",
                  "image: {name: 'i:all'}, services: [{name: 's:3', variables: {A: '${{ x }}'}}, 't3']" },
                { INPUTS "cache: [{key: '${{ job.inputs.target }}', paths: ['${{ job.inputs.n }}']}], "
                         "artifacts: {paths: ['${{ job.inputs.n }}/'], public: true}",
                  "cache: [{key: all, paths: ['3']}], artifacts: {paths: ['3/'], public: true}" },
                { INPUTS
                  "variables: {A: '${{ job.inputs.n }}'}, hooks: {pre_get_sources_script: ['${{ job.inputs.n }}']}",
                  "variables: {A: '${{ job.inputs.n }}'}, hooks: {pre_get_sources_script: ['${{ job.inputs.n }}']}" },
                { INPUTS "script: ['a \\${{ b }} $${{ job.inputs.n }} ${X} }}']", "script: ['a ${{ b }} $3 ${X} }}']" },
                /* Without inputs, it means nothing. */
                { "script: ['${{ job.inputs.n }}']", "script: ['${{ job.inputs.n }}']" },
                { "inputs: {}, script: ['${{ x']", "script: ['${{ x']" },
        };

        TEST_ARENA(arena);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const Value *config = load(&arena, arena_printf(&arena, "{%s}", rows[i].config));
                const Value *wanted = load(&arena, arena_printf(&arena, "{%s}", rows[i].expanded));
                const char *problem = NULL;

                const Value *expanded = local_job_inputs(&arena, config, &problem);
                assert_null(problem);
                for (size_t k = 0; k < wanted->n_pairs; k++)
                        assert_row(value_equal(map_get(expanded, wanted->pairs[k].key), wanted->pairs[k].value), i,
                                   wanted->pairs[k].key);
        }
}

static void test_problems(_unused_ void **state) {
        static const struct {
                const char *text, *problem;
        } rows[] = {
                { "${{ str(job.inputs.n) }}",
                  "the expression '${{ str(job.inputs.n) }}' cannot be evaluated here: only 'job.inputs.NAME' can" },
                { "${{ job.inputs.list[0] }}", "names no input of the job" },
                { "${{ job.inputs.other }}", "'${{ job.inputs.other }}' names no input of the job" },
                { "${{ job.inputs.list }}", "is a list" },
                { "${{ job.inputs.none }}", "without a default" },
                { "${{ job.inputs.n", "has no end" },
                { "${{}}", "cannot be evaluated" },
                { "${{ first }} ${{ second }}", "'${{ first }}'" },
        };

        TEST_ARENA(arena);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const char *text = arena_printf(&arena, "{" INPUTS "script: ['%s']}", rows[i].text);
                const char *problem = NULL;

                (void) local_job_inputs(&arena, load(&arena, text), &problem);
                assert_row(problem && strstr(problem, rows[i].problem), i, problem ? problem : "none");
        }
}

static const struct CMUnitTest tests[] = { cmocka_unit_test(test_values), cmocka_unit_test(test_problems) };
UNIT_FILE(tests);
