/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Whole evaluations of small configurations: which jobs there are, or what is wrong and where. Larger ones are in
 * tests/exec. */

#include "pipeline.h"

/* "a b! c?": the jobs of the pipeline; "!" for manual, "?" for those that may fail, "-" for on_failure, "+" for always. */
static const char *summary(TestPipeline *test) {
        Text text = { .arena = &test->arena };

        if (test->pipeline->context.problems.n > 0)
                return test_pipeline_problems(test);
        for (size_t i = 0; i < test->pipeline->n_jobs; i++) {
                static const char *const marks[] = { "", "-", "+", "!", "~", "" };
                const PipelineJob *job = test->pipeline->jobs + i;

                if (job->included)
                        text_printf(&text, "%s%s%s%s", text.size > 0 ? " " : "", job->name, marks[job->when],
                                    job->allow_failure ? "?" : "");
        }
        return test->pipeline->created ? text_get(&text) :
                                         arena_printf(&test->arena, "none: %s", test->pipeline->reason);
}

static void check(const char *yaml, const char *expected) {
        MemoryFile files[] = { { NULL, ".gitlab-ci.yml", yaml }, { 0 } };
        TestPipeline test;

        test_pipeline_init(&test, files);
        test_pipeline_run(&test);
        const char *found = summary(&test);
        /* A problem need only contain what is expected. */
        if (test.pipeline->context.problems.n > 0 ? strstr(found, expected) == NULL : !streq(found, expected))
                fail_msg("%s\nis %s\nnot %s", yaml, found, expected);
        test_pipeline_done(&test);
}

#define S "script: x"

static void test_jobs(_unused_ void **state) {
        static const struct {
                const char *yaml, *jobs;
        } rows[] = {
                { "a: {" S "}", "a" },
                { "stages: [two, one]\na: {" S ", stage: one}\nb: {" S ", stage: two}\nc: {" S ", stage: .post}\nd: {" S
                  ", stage: .pre}",
                  "d b a c" },
                { ".t: {" S "}\na: {extends: .t}", "a" },
                { ".t: {" S
                  ", when: manual}\n.u: {extends: .t, when: always}\na: {extends: [.t, .u]}\nb: {extends: .t}",
                  "a+ b!?" },
                { ".t: {script: [x, y]}\na: {script: [!reference [.t, script], z]}", "a" },
                { "default: {interruptible: true}\na: {" S "}", "a" },
                { "a: {" S ", parallel: 3}", "a 1/3 a 2/3 a 3/3" },
                { "a: {" S ", parallel: {matrix: [{X: [1, 2], Y: [p, q]}, {X: 3, Y: r}]}}",
                  "a: [1, p] a: [1, q] a: [2, p] a: [2, q] a: [3, r]" },
                { "a: {" S ", when: manual}\nb: {" S ", when: delayed, start_in: 1 day}\nc: {" S
                  ", when: on_failure}\nd: {" S ", allow_failure: true}\ne: {" S
                  ", when: manual, allow_failure: false}",
                  "a!? b~ c- d? e!" },
                { "a: {" S ", rules: [{if: $NO}, {when: manual}]}", "a!" },
                { "a: {" S ", when: manual, rules: [{if: $CI}]}", "a!?" },
                { "a: {" S ", rules: [{if: $CI, allow_failure: true}]}", "a?" },
                { "a: {" S ", rules: [{if: $CI, when: never}, {when: always}]}\nb: {" S "}", "b" },
                { "a: {" S ", only: [tags]}\nb: {" S ", except: [branches]}\nc: {" S ", only: [topic]}\nd: {" S
                  ", only: [/^TOP/i]}\ne: {" S ", only: [pushes]}\n"
                  "f: {" S ", only: {refs: [branches], variables: [$NO]}}\ng: {" S ", except: {variables: [$NO]}}",
                  "c d e g" },
                { "workflow: {rules: [{if: $NO}]}\na: {" S "}", "none: no rule of the workflow matches" },
                { "workflow: {rules: [{if: $CI, variables: {X: y}}]}\na: {" S ", rules: [{if: '$X == \"y\"'}]}", "a" },
                { "a: {" S ", stage: .pre}", "none: no job is left in it, or only jobs of .pre and .post" },
                { "variables: {X: root}\na: {" S ", variables: {X: job}, rules: [{if: '$X == \"job\"'}]}\nb: {" S
                  ", inherit: {variables: false}, rules: [{if: $X == null}]}",
                  "a b" },
                { "a: {" S ", parallel: {matrix: [{X: [1, 2]}]}, rules: [{if: '$X == \"2\"'}]}", "a: [2]" },
                { "a: {" S ", rules: [{changes: [x]}]}", "a" },
                { "a: {" S "}\nb: {" S ", needs: [{job: none, optional: true}]}", "a b" },
                { "t: {trigger: group/other}", "t" },
                { "x: {trigger: {include: child.yml, strategy: depend}}", "x" },
                { "# only a comment\na:\n  " S "\n", "a" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                check(rows[i].yaml, rows[i].jobs);
}

static void test_problems(_unused_ void **state) {
        static const struct {
                const char *yaml, *problem;
        } rows[] = {
                { "[a]", ".gitlab-ci.yml:1:1: a configuration must be a mapping" },
                { "a: {" S ", stage: tset}",
                  ":1:23: job 'a' is in stage 'tset', which is not one of: .pre, build, test, deploy, .post; did you mean 'test'?" },
                { "a: {scirpt: x}", "job 'a' has an unknown keyword 'scirpt'; did you mean 'script'?" },
                { "a: {" S ", imgae: x}", ":1:16: job 'a' has an unknown keyword 'imgae'; did you mean 'image'?" },
                { "a: {stage: test}", "job 'a' does nothing" },
                { "stagse: [x]\na: {" S "}", "did you mean 'stages'?" },
                { "on: {" S "}", "put the name in quotes" },
                { "a: {script: [b: c]}",
                  "item 1 of 'script' of job 'a' must be a text, not a mapping; put the whole text in quotes" },
                { "a: {script: [1]}", "must be a text, not a number; put it in quotes" },
                { "a: {" S ", when: sometimes}", "'when' of job 'a' cannot be 'sometimes'; it is one of: on_success" },
                { "a: {" S ", when: on_sucess}", "did you mean 'on_success'?" },
                { "a: {" S ", when: never}", "'when' of job 'a' cannot be 'never'" },
                { "a: {" S ", rules: [{if: $A = 1}]}", "no valid expression, at \"= 1\": write ==" },
                { "a: {" S ", rules: [{when: manual, alow_failure: true}]}",
                  "has no key 'alow_failure'; did you mean 'allow_failure'?" },
                { "a: {" S ", rules: [{if: $A}], only: [x]}", "job 'a' has 'rules' and 'only'" },
                { "a: {" S ", needs: [b]}", "'needs' of job 'a' names 'b', which is no job" },
                { "build: {" S "}\na: {" S ", needs: [biuld]}", "did you mean 'build'?" },
                { "a: {" S ", needs: [b]}\nb: {" S ", stage: deploy}", "later stage" },
                { "a: {" S ", needs: [b]}\nb: {" S ", needs: [a]}", "needs itself" },
                { "a: {" S ", needs: [b, b]}\nb: {" S "}", "needs 'b' twice" },
                { "a: {" S ", needs: [b]}\nb: {" S ", rules: [{if: $NO}]}", "optional: true" },
                { "a: {" S ", needs: b}\nb: {" S "}", "must be a list of jobs" },
                { "a: {extends: .b, " S "}", "'extends' names '.b', which is not there" },
                { "a: {extends: b, " S "}\nb: {extends: a, " S "}", "extends itself" },
                { "a: {script: !reference [.b, script]}", "there is no '.b'" },
                { ".b: {script: !reference [.b, script]}\na: {" S "}", "refers to itself" },
                { ".b: {x: false}\na: {script: !reference [.b, x]}", "'x' in '.b' is false" },
                { "a: {" S ", parallel: 201}", "must be a number from 1 to 200" },
                { "a: {" S ", parallel: {matrix: [{X: []}]}}", "must be a text or a list of texts, not empty" },
                { "a: {" S ", timeout: 3}", "must be a duration such as '3h 30m', not a number; put it in quotes" },
                { "a: {" S ", timeout: soon}", "must be a duration" },
                { "a: {" S ", when: delayed}", "needs 'start_in'" },
                { "a: {" S ", when: delayed, start_in: 2 weeks}", "longer than a week" },
                { "a: {" S ", start_in: 1 day}", "only goes with 'when: delayed'" },
                { "a: {" S ", retry: 3}", "must be a number from 0 to 2, not 3" },
                { "a: {" S ", coverage: x}", "pattern between slashes" },
                { "a: {" S ", cache: {key: a/b}}", "cannot contain '/'" },
                { "a: {" S ", cache: [{}, {}, {}, {}, {}]}", "at most 4" },
                { "a: {" S ", artifacts: {path: [x]}}", "has no key 'path'; did you mean 'paths'?" },
                { "a: {" S ", artifacts: {paths: x}}", "must be a list of texts, not a text; put it in brackets" },
                { "a: {" S ", image: {entrypoint: [x]}}", "needs 'name'" },
                { "a: {" S ", variables: {X: [y]}}", "'X' of 'variables' of job 'a' must be a text, a number" },
                { "variables: {X: {value: a, options: [b]}}\na: {" S "}", "one of its 'options'" },
                { "variables: {A: $B, B: $A}\na: {" S "}", "refer to each other in a circle: A, B" },
                { "default: {stage: x}\na: {" S "}", "'default' cannot have 'stage'" },
                { "default: {image: x}\nimage: y\na: {" S "}", "'image' is set here and in 'default'" },
                { ".a: {" S "}", "there is no job" },
                { "include: a.txt\na: {" S "}", "must end with .yml or .yaml" },
                { "include: a.yml\na: {" S "}", ":1:10: file 'a.yml' is not there" },
                { "include: {local: a.yml, remote: 'https://x/y'}\na: {" S "}", "either 'local' or 'remote'" },
                { "include: {project: g/p, file: a.yml}\na: {" S "}", "--include-root gitlab.example.com/g/p=DIR" },
                { "include: {template: X.gitlab-ci.yml}\na: {" S "}", "--include-root templates=DIR" },
                { "t: {trigger: {project: a, include: b}}", "either 'project' or 'include'" },
                { "t: {trigger: x, script: y}", "has 'script' and 'trigger'" },
                { "t: {trigger: x, cache: {}}", "trigger job 't' cannot have 'cache'" },
                { "a: {" S ", dependencies: [b]}", "'dependencies' of job 'a' names 'b'" },
                { "a: {" S ", needs: [c], dependencies: [b]}\nb: &b {" S ", stage: build}\nc: *b",
                  "add it to 'needs'" },
                { "true: {" S "}", "cannot name a job" },
                { "a: {" S ", environment: {url: x}}", "needs 'name'" },
                { "a: {run: [{name: x, script: y}], before_script: z}", "'run' and 'before_script'" },
                { "a: {" S ", rules: [{changes: {compare_to: none, paths: [x]}}]}", "no branch, tag or commit here" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                check(rows[i].yaml, rows[i].problem);
}

static void test_includes(_unused_ void **state) {
        static char *paths[] = { "ci/one.yml", "ci/sub/three.yml", "ci/two.yml", NULL };
        static const MemoryFile files[] = {
                { NULL, ".gitlab-ci.yml",
                  "include: [{local: /ci/*.yml}, {project: g/p, file: [/a.yml]}, {remote: 'https://h.example/x/y.yml'},\n"
                  " {component: $CI_SERVER_FQDN/g/c/lint@1.0, inputs: {stage: build, n: 2, list: [p, q]}},\n"
                  " {template: T.gitlab-ci.yml, rules: [{if: $NO}]}, {template: U.gitlab-ci.yml}]\n"
                  "one: {variables: {Y: own}}\n" },
                { NULL, "ci/one.yml", "one: {script: x, variables: {X: first, Y: first}}\n" },
                { NULL, "ci/two.yml", "one: {variables: {X: second}}\n" },
                { "gitlab.example.com/g/p", "a.yml", "include: b.yml\nproject: {script: x}\n" },
                { "gitlab.example.com/g/p", "b.yml", "nested: {script: x}\n" },
                { "h.example", "x/y.yml", "remote: {script: x}\n" },
                { "gitlab.example.com/g/c", "templates/lint/template.yml",
                  "spec:\n  component: [name, version]\n  inputs:\n    stage: {default: test, options: [build, test]}\n    n: {type: number}\n    list: {type: array}\n"
                  "---\n$[[ component.name ]]-$[[ inputs.n ]]:\n  stage: $[[ inputs.stage ]]\n  script: $[[ inputs.list ]]\n" },
                { "templates", "U.gitlab-ci.yml", "template: {script: x}\n" },
                { 0 },
        };
        TestPipeline test;

        test_pipeline_init(&test, files);
        test.project.paths = paths;
        variables_set_text(&test.predefined, "CI_SERVER_FQDN", "gitlab.example.com");
        test_pipeline_run(&test);
        assert_string_equal(summary(&test), "lint-2 one nested project remote template");
        const PipelineJob *one = pipeline_find_job(test.pipeline, "one");
        assert_string_equal(variables_get(&one->yaml, "X"), "second");
        assert_string_equal(variables_get(&one->yaml, "Y"), "own");
        assert_int_equal(map_get(pipeline_find_job(test.pipeline, "lint-2")->config, "script")->n_items, 2);
        test_pipeline_done(&test);
}

static void test_too_many(_unused_ void **state) {
        static const MemoryFile endless[] = { { NULL, ".gitlab-ci.yml", "include: .gitlab-ci.yml\na: {script: x}\n" },
                                              { 0 } };
        TestPipeline test;

        test_pipeline_init(&test, endless);
        test_pipeline_run(&test);
        assert_non_null(strstr(summary(&test), "more than 150 files are included"));
        test_pipeline_done(&test);

        Arena *arena;
        MemoryFile files[] = { { NULL, ".gitlab-ci.yml", NULL }, { 0 } };
        test_pipeline_init(&test, files);
        arena = &test.arena;
        Text text = { .arena = arena };
        for (unsigned i = 0; i < 60; i++)
                text_printf(&text, "j%u: {script: x, parallel: 200}\n", i);
        files[0].text = text_get(&text);
        test_pipeline_run(&test);
        assert_non_null(strstr(summary(&test), "more than 10000 jobs"));
        test_pipeline_done(&test);

        /* Exactly as many are fine, each with as many needs as are allowed. */
        test_pipeline_init(&test, files);
        Text fine = { .arena = &test.arena };
        for (unsigned i = 0; i < 200; i++)
                text_printf(&fine, "j%u: {script: x, parallel: 50, stage: build, needs: %s}\n", i,
                            i > 0 ? "[j0]" : "[]");
        files[0].text = text_get(&fine);
        test_pipeline_run(&test);
        assert_int_equal(test.pipeline->context.problems.n, 0);
        assert_int_equal(test.pipeline->n_jobs, 10000);
        test_pipeline_done(&test);
}

/* A chain of extends as long as a file can be ends with an error, not with the stack. */
static void test_long_chains(_unused_ void **state) {
        MemoryFile files[] = { { NULL, ".gitlab-ci.yml", NULL }, { 0 } };
        TestPipeline test;

        test_pipeline_init(&test, files);
        Text text = { .arena = &test.arena };
        for (unsigned i = 0; i < 8000; i++)
                text_printf(&text, ".j%u: {extends: .j%u}\n", i, i + 1);
        text_add_string(&text, ".j8000: {}\na: {script: x}\n");
        files[0].text = text_get(&text);
        test_pipeline_run(&test);
        assert_non_null(strstr(summary(&test), "extends more than 11 jobs"));
        assert_int_equal(test.pipeline->context.problems.n, PIPELINE_PROBLEMS_MAX);
        assert_true(test.pipeline->context.problems.n_left_out > 0);
        test_pipeline_done(&test);

        /* Eleven levels are fine. */
        test_pipeline_init(&test, files);
        Text levels = { .arena = &test.arena };
        for (unsigned i = 0; i < 11; i++)
                text_printf(&levels, ".j%u: {extends: .j%u}\n", i, i + 1);
        text_add_string(&levels, ".j11: {script: x}\na: {extends: .j1}\n");
        files[0].text = text_get(&levels);
        test_pipeline_run(&test);
        assert_string_equal(summary(&test), "a");
        test_pipeline_done(&test);
}

static void test_changes_and_exists(_unused_ void **state) {
        static char *paths[] = { "Makefile", "src/a.c", "src/b.h", NULL };
        static char *changed[] = { "docs/x.md", "src/a.c", NULL };
        static const MemoryFile files[] = {
                { NULL, ".gitlab-ci.yml",
                  "variables: {D: src}\n"
                  "a: {script: x, rules: [{changes: ['$D/*.c']}]}\n"
                  "b: {script: x, rules: [{changes: ['*.c']}]}\n"
                  "c: {script: x, rules: [{exists: [Makefile]}]}\n"
                  "d: {script: x, rules: [{exists: [src]}]}\n"
                  "e: {script: x, rules: [{exists: [src/]}]}\n"
                  "f: {script: x, rules: [{exists: '**/*.h'}]}\n"
                  "g: {script: x, rules: [{changes: {paths: [docs/**], compare_to: main}}]}\n"
                  "h: {script: x, rules: [{changes: {regexp: 'src/(?!b)'}}]}\n"
                  "i: {script: x, rules: [{if: $NO, changes: [docs/x.md]}]}\n"
                  "j: {script: x, only: {changes: [docs/*]}}\n"
                  "k: {script: x, only: {changes: [other/*]}}\n" },
                { 0 },
        };
        TestPipeline test;

        test_pipeline_init(&test, files);
        test.project.paths = paths;
        test.project.changed = changed;
        test_pipeline_run(&test);
        assert_string_equal(summary(&test), "a c e f g h j");
        test_pipeline_done(&test);
}

static void test_precedence(_unused_ void **state) {
        static const MemoryFile files[] = {
                { NULL, ".gitlab-ci.yml",
                  "variables: {A: yaml, B: yaml, C: yaml, CI: yaml}\n"
                  "a: {script: x, variables: {D: $A-$B-$C-$CI}}\n" },
                { 0 },
        };
        TestPipeline test;
        Text text;

        test_pipeline_init(&test, files);
        variables_set_text(&test.of_project, "A", "project");
        variables_set_text(&test.of_project, "B", "project");
        variables_set_text(&test.of_pipeline, "B", "pipeline");
        test_pipeline_run(&test);
        text = (Text){ .arena = &test.pipeline->arena };
        pipeline_explain(test.pipeline, test.pipeline->jobs, &text);
        assert_non_null(strstr(text_get(&text), "D=\"project-pipeline-yaml-yaml\""));
        test_pipeline_done(&test);
}

/* Which jobs' artifacts and variables a job gets. */
static void test_artifacts(_unused_ void **state) {
        static const MemoryFile files[] = {
                { NULL, ".gitlab-ci.yml",
                  "a: {script: x, stage: build}\nb: {script: x, stage: build, parallel: 2}\nt: {script: x}\nu: {script: x"
                  ", needs: [{job: b, artifacts: true}, {job: t, "
                  "artifacts: false}, a]}\nv: {script: x, dependencies: [b]}\nw: {script: x, dependencies: []}\nx: {script: x"
                  ", needs: [a, b], dependencies: [a]}\nd: {script: x, stage: deploy}\ne: {script: x, stage: deploy, needs: []}" },
                { 0 }
        };
        static const struct {
                const char *job, *from;
        } rows[] = { { "a", "" },   { "t", "a,b 1/2,b 2/2," }, { "w", "" }, { "u", "a,b 1/2,b 2/2," },
                     { "x", "a," }, { "v", "b 1/2,b 2/2," },   { "e", "" }, { "d", "a,b 1/2,b 2/2,t,u,v,w,x," } };
        TestPipeline test;
        size_t places[16];

        test_pipeline_init(&test, files);
        test_pipeline_run(&test);
        assert_string_equal(test_pipeline_problems(&test), "");
        assert_true(test.pipeline->n_jobs <= ELEMENTSOF(places));
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                size_t n = pipeline_artifact_jobs(test.pipeline, pipeline_find_job(test.pipeline, rows[i].job), places);
                Text text = { .arena = &test.arena };

                for (size_t k = 0; k < n; k++)
                        text_printf(&text, "%s,", test.pipeline->jobs[places[k]].name);
                assert_row(streq(text_get(&text), rows[i].from), i, text_get(&text));
        }
        test_pipeline_done(&test);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jobs),        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_includes),    cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_long_chains), cmocka_unit_test(test_changes_and_exists),
        cmocka_unit_test(test_precedence),  cmocka_unit_test(test_artifacts),
};
UNIT_FILE(tests);
