/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Which job's turn it is: the status of several jobs, and pipelines played to their end. */

#include "pipeline.h"
#include "pipeline/run-state.h"

/* One letter for each job: created, pending, running, success, failed, X canceled, K skipped, manual, D scheduled, G
 * canceling; in capitals (F, M): with allow_failure. */
static unsigned seen(char letter) {
        static const char letters[] = "cprsfxkmdg";
        char lower = letter == 'F' ? 'f' : letter == 'M' ? 'm' : letter == 'X' ? 'x' : letter;
        const char *at = strchr(letters, lower);

        assert_non_null(at);
        return status_seen((JobStatus) (at - letters), letter != lower);
}

static void test_composite(_unused_ void **state) {
        static const struct {
                const char *jobs;
                JobStatus stage, needs;
        } rows[] = {
                { "", JOB_SUCCESS, JOB_SUCCESS },     { "s", JOB_SUCCESS, JOB_SUCCESS },
                { "ss", JOB_SUCCESS, JOB_SUCCESS },   { "sF", JOB_SUCCESS, JOB_SUCCESS },
                { "sf", JOB_FAILED, JOB_FAILED },     { "sk", JOB_SUCCESS, JOB_SKIPPED },
                { "k", JOB_SKIPPED, JOB_SKIPPED },    { "M", JOB_SKIPPED, JOB_SKIPPED },
                { "sM", JOB_SUCCESS, JOB_SKIPPED },   { "m", JOB_MANUAL, JOB_PENDING },
                { "sm", JOB_MANUAL, JOB_PENDING },    { "sx", JOB_CANCELED, JOB_CANCELED },
                { "sX", JOB_SUCCESS, JOB_SUCCESS },   { "c", JOB_CREATED, JOB_PENDING },
                { "cF", JOB_CREATED, JOB_PENDING },   { "cp", JOB_PENDING, JOB_PENDING },
                { "sp", JOB_RUNNING, JOB_PENDING },   { "r", JOB_RUNNING, JOB_PENDING },
                { "sc", JOB_RUNNING, JOB_PENDING },   { "d", JOB_SCHEDULED, JOB_PENDING },
                { "fr", JOB_RUNNING, JOB_PENDING },   { "fm", JOB_MANUAL, JOB_PENDING },
                { "fk", JOB_FAILED, JOB_SKIPPED },    { "fx", JOB_FAILED, JOB_FAILED },
                { "F", JOB_SUCCESS, JOB_SUCCESS },    { "kk", JOB_SKIPPED, JOB_SKIPPED },
                { "kM", JOB_SKIPPED, JOB_SKIPPED },   { "Fk", JOB_SUCCESS, JOB_SKIPPED },
                { "cM", JOB_CREATED, JOB_SKIPPED },   { "xk", JOB_CANCELED, JOB_SKIPPED },
                { "xF", JOB_CANCELED, JOB_CANCELED }, { "pk", JOB_PENDING, JOB_SKIPPED },
                { "xc", JOB_RUNNING, JOB_PENDING },   { "fc", JOB_RUNNING, JOB_PENDING },
                { "md", JOB_MANUAL, JOB_PENDING },    { "mr", JOB_RUNNING, JOB_PENDING },
                { "dc", JOB_SCHEDULED, JOB_PENDING }, { "g", JOB_CANCELING, JOB_PENDING },
                { "gx", JOB_CANCELING, JOB_PENDING }, { "gr", JOB_RUNNING, JOB_PENDING },
                { "gm", JOB_MANUAL, JOB_PENDING },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                unsigned all = 0;

                for (const char *p = rows[i].jobs; *p; p++)
                        all |= STATUS_BIT(seen(*p));
                JobStatus stage = status_composite(all, false), needs = status_composite(all, true);
                if (stage != rows[i].stage || needs != rows[i].needs)
                        fail_msg("%s: %s and %s, not %s and %s", rows[i].jobs, job_status_name(stage),
                                 job_status_name(needs), job_status_name(rows[i].stage),
                                 job_status_name(rows[i].needs));
        }
}

/* Whether @words has @name between blanks; also with @mark after it. */
static bool names(const char *words, const char *name, char mark) {
        size_t size = strlen(name);

        for (const char *p = words; (p = strstr(p, name)); p += size)
                if ((p == words || p[-1] == ' ') && (p[size] == mark || (mark == 0 && p[size] == ' ')))
                        return true;
        return false;
}

/* Runs all pending jobs until there are none. Jobs in @failing fail with exit code 3; "job*" the first time only, "job!"
 * because of the system, "job?" for want of artifacts. Returns "name=status" of all. */
static const char *play(const char *yaml, const char *failing, const char *takes, RunState *state, TestPipeline *test) {
        static char result[1024];
        MemoryFile files[] = { { NULL, ".gitlab-ci.yml", yaml }, { 0 } };
        RunTake take[16];

        test_pipeline_init(test, files);
        test_pipeline_run(test);
        assert_string_equal(test_pipeline_problems(test), "");
        assert_true(test->pipeline->n_jobs <= ELEMENTSOF(take));
        for (size_t i = 0; i < test->pipeline->n_jobs; i++)
                take[i] = !takes                                          ? RUN_TAKE :
                          names(takes, test->pipeline->jobs[i].name, 0)   ? RUN_DEMAND :
                          names(takes, test->pipeline->jobs[i].name, '+') ? RUN_PLAY :
                          names(takes, test->pipeline->jobs[i].name, '-') ? RUN_TAKE :
                                                                            RUN_LEAVE;
        run_state_init(state, test->pipeline, takes ? take : NULL);
        for (size_t i; (i = run_state_next(state)) != SIZE_MAX;) {
                const char *name = test->pipeline->jobs[i].name;
                bool system = names(failing, name, '!'), missing = names(failing, name, '?');

                run_state_start(state, i);
                bool failed = names(failing, name, 0) || system || missing ||
                              (names(failing, name, '*') && state->jobs[i].n_tries == 1);
                (void) run_state_finish(state, i,
                                        &(RunEnd){ !failed,
                                                   !failed ? NULL :
                                                   system  ? "runner_system_failure" :
                                                   missing ? "missing_dependency_failure" :
                                                             "script_failure",
                                                   system || missing ? -1 :
                                                   failed            ? 3 :
                                                                       0 });
        }
        assert_true(run_state_idle(state));
        result[0] = 0;
        for (size_t i = 0; i < test->pipeline->n_jobs; i++)
                if (state->jobs[i].take != RUN_LEAVE)
                        snprintf(result + strlen(result), sizeof(result) - strlen(result), "%s%s=%s",
                                 *result ? " " : "", test->pipeline->jobs[i].name,
                                 job_status_name(state->jobs[i].status));
        return result;
}

#define B "script: x, stage: build"
#define S "script: x"
#define D "script: x, stage: deploy"

static void test_pipelines(_unused_ void **unused) {
        static const struct {
                const char *yaml, *failing, *result;
                JobStatus status;
        } rows[] = {
                { "b: {" B "}\nt: {" S "}", "", "b=success t=success", JOB_SUCCESS },
                { "b: {" B "}\nt: {" S "}\nd: {" D "}", "b", "b=failed t=skipped d=skipped", JOB_FAILED },
                { "b: {" B ", allow_failure: true}\nt: {" S "}", "b", "b=failed t=success", JOB_SUCCESS },
                { "b: {" B ", allow_failure: {exit_codes: 3}}\nt: {" S "}", "b", "b=failed t=success", JOB_SUCCESS },
                { "b: {" B ", allow_failure: {exit_codes: [4]}}\nt: {" S "}", "b", "b=failed t=skipped", JOB_FAILED },
                { "b: {" B "}\nt: {" S ", when: on_failure}\nd: {" D ", when: always}", "b",
                  "b=failed t=success d=success", JOB_FAILED },
                { "b: {" B "}\nt: {" S ", when: on_failure}\nd: {" D "}", "", "b=success t=skipped d=success",
                  JOB_SUCCESS },
                { "b: {" B ", allow_failure: true}\nt: {" S ", when: on_failure}", "b", "b=failed t=skipped",
                  JOB_SUCCESS },
                { "b: {" B ", when: on_failure}\nt: {" S ", when: on_failure, needs: []}", "", "b=skipped t=skipped",
                  JOB_SKIPPED },
                { "b: {" B ", when: manual}\nt: {" S "}", "", "b=manual t=success", JOB_SUCCESS },
                { "b: {" B ", when: manual, allow_failure: false}\nt: {" S "}", "", "b=manual t=created", JOB_MANUAL },
                { "b: {" B ", when: manual}\nt: {" S ", needs: [b]}\nd: {" D ", needs: [b], when: always}", "",
                  "b=manual t=skipped d=success", JOB_SUCCESS },
                { "b: {" B ", when: delayed, start_in: 1 day}\nt: {" S "}", "", "b=scheduled t=created",
                  JOB_SCHEDULED },
                { "b: {" B "}\nc: {" B "}\nt: {" S ", needs: [c]}\nd: {" D ", needs: []}", "b",
                  "b=failed c=success t=success d=success", JOB_FAILED },
                { "b: {" B "}\nt: {" S ", needs: [b]}\nd: {" D ", needs: [t]}", "b", "b=failed t=skipped d=skipped",
                  JOB_FAILED },
                { "b: {" B "}\nt: {" S ", needs: [b], when: on_failure}", "b", "b=failed t=success", JOB_FAILED },
                { "b: {" B ", retry: 1}\nt: {" S "}", "b*", "b=success t=success", JOB_SUCCESS },
                { "b: {" B ", retry: 1}\nt: {" S "}", "b", "b=failed t=skipped", JOB_FAILED },
                { "b: {" B ", retry: {max: 1, when: runner_system_failure}}\nt: {" S "}", "b*", "b=failed t=skipped",
                  JOB_FAILED },
                { "b: {" B ", retry: {max: 1, exit_codes: 3}}\nt: {" S "}", "b*", "b=success t=success", JOB_SUCCESS },
                { "t: {" S ", needs: [u]}\nu: {" S "}", "", "t=success u=success", JOB_SUCCESS },
                { "t: {" S ", needs: [{job: none, optional: true}]}", "", "t=success", JOB_SUCCESS },
                { "b: {" B ", allow_failure: {exit_codes: 3}}\nt: {" S "}", "b!", "b=failed t=skipped", JOB_FAILED },
                { "b: {" B ", allow_failure: true}\nt: {" S "}", "b!", "b=failed t=success", JOB_SUCCESS },
                { "b: {" B ", retry: {max: 1, when: [runner_system_failure]}}", "b!", "b=failed", JOB_FAILED },
                { "b: {" B ", retry: 2}\nt: {" S "}", "b?", "b=failed t=skipped", JOB_FAILED },
                { "b: {" B ", retry: {max: 1, when: runner_system_failure, exit_codes: 3}}", "b*", "b=success",
                  JOB_SUCCESS },
                { "b: {" B ", retry: {max: 1, when: always, exit_codes: 4}}", "b*", "b=success", JOB_SUCCESS },
                { "b: {" B ", retry: {max: 1, exit_codes: [4, 5]}}", "b*", "b=failed", JOB_FAILED },
                { "b: {" B "}\nc: {" B "}\nt: {" S ", needs: [b, c]}\nd: {" D ", needs: [b, c], when: always}", "b",
                  "b=failed c=success t=skipped d=success", JOB_FAILED },
                { "b: {" B ", when: on_failure}\nt: {" S "}", "", "b=skipped t=success", JOB_SUCCESS },
                { "b: {" B ", when: on_failure}\nt: {" S ", needs: [b]}", "", "b=skipped t=skipped", JOB_SKIPPED },
                { "b: {" B ", when: on_failure}\nt: {" S ", needs: [b], when: always}", "", "b=skipped t=success",
                  JOB_SUCCESS },
                { "b: {" B ", when: on_failure}\nd: {" D ", when: always}", "", "b=skipped d=success", JOB_SUCCESS },
                { "p: {script: x, stage: .pre}\nb: {" B "}\nq: {script: x, stage: .post, when: always}", "p",
                  "p=failed b=skipped q=success", JOB_FAILED },
                { "b: {" B ", parallel: 3}\nt: {" S ", needs: [b]}", "b 2/3",
                  "b 1/3=success b 2/3=failed b 3/3=success t=skipped", JOB_FAILED },
                { "b: {" B ", needs: []}\nt: {" S ", needs: []}\nd: {" D ", when: on_failure}", "t",
                  "b=success t=failed d=success", JOB_FAILED },
                { "workflow: {auto_cancel: {on_job_failure: all}}\nb: {" B "}\nc: {" B "}\nt: {" S "}\nd: {" D
                  ", when: always}",
                  "b", "b=failed c=canceled t=canceled d=canceled", JOB_FAILED },
                { "workflow: {auto_cancel: {on_job_failure: all}}\nb: {" B ", allow_failure: true}\nc: {" B "}", "b",
                  "b=failed c=success", JOB_SUCCESS },
                { "workflow: {auto_cancel: {on_job_failure: all}, rules: [{when: always, auto_cancel: {on_job_failure: "
                  "none}}]}\nb: {" B "}\nc: {" B "}",
                  "b", "b=failed c=success", JOB_FAILED },
                { "workflow: {rules: [{when: always, auto_cancel: {on_job_failure: all}}]}\nb: {" B
                  ", retry: 1}\nc: {" B "}",
                  "b*", "b=success c=success", JOB_SUCCESS },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                TestPipeline test;
                RunState state;
                const char *result = play(rows[i].yaml, rows[i].failing, NULL, &state, &test);
                JobStatus status = run_state_status(&state);
                int exit_status = rows[i].status == JOB_FAILED ? 1 : 0;

                if (!streq(result, rows[i].result) || status != rows[i].status)
                        fail_msg("%s\n(%s fails): %s, %s\nnot %s, %s", rows[i].yaml, rows[i].failing, result,
                                 job_status_name(status), rows[i].result, job_status_name(rows[i].status));
                assert_row(run_state_exit_status(&state) == exit_status, i, rows[i].yaml);
                test_pipeline_done(&test);
        }
}

/* Only some of the jobs: "job" was named, "job+" is played, "job-" is one that they need. */
static void test_some(_unused_ void **state) {
        static const struct {
                const char *yaml, *failing, *takes, *result;
                int exit_status;
        } rows[] = {
                { "b: {" B "}\nt: {" S "}\nd: {" D "}", "", "t", "t=success", 0 },
                { "b: {" B "}\nt: {" S ", needs: [b]}\nd: {" D "}", "t", "t", "t=failed", 1 },
                { "b: {" B "}\nt: {" S ", needs: [b]}\nd: {" D "}", "b", "b- t", "b=failed t=skipped", 1 },
                { "b: {" B "}\nt: {" S ", when: on_failure}", "", "t", "t=success", 0 },
                { "b: {" B "}\nt: {" S ", when: on_failure}", "", "b t", "b=success t=skipped", 0 },
                { "d: {" D ", when: manual}", "", "d", "d=success", 0 },
                { "d: {" D ", when: manual}", "d", "d", "d=failed", 1 },
                { "d: {" D ", when: manual, allow_failure: true}", "d", "d", "d=failed", 0 },
                { "b: {" B "}\nd: {" D ", when: manual, needs: [b]}", "b", "b- d+", "b=failed d=skipped", 1 },
                { "b: {" B ", when: manual}\nt: {" S ", needs: [b]}", "", "b+ t-", "b=success t=success", 0 },
                { "b: {" B ", when: delayed, start_in: 1 day}\nt: {" S "}", "", "b+ t-", "b=success t=success", 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                TestPipeline test;
                RunState run;
                const char *result = play(rows[i].yaml, rows[i].failing, rows[i].takes, &run, &test);

                if (!streq(result, rows[i].result))
                        fail_msg("%s (%s): %s\nnot %s", rows[i].yaml, rows[i].takes, result, rows[i].result);
                assert_row(run_state_exit_status(&run) == rows[i].exit_status, i, rows[i].yaml);
                test_pipeline_done(&test);
        }
}

static void test_reasons(_unused_ void **state) {
        TestPipeline test;
        RunState run;

        (void) play("b: {" B "}\nc: {" B "}\nt: {" S "}\nu: {" S ", needs: [b, c]}\nd: {" D ", needs: [u]}\nm: {" B
                    ", when: manual}\nn: {" D ", needs: [m]}\nf: {" S ", when: on_failure, needs: [b]}",
                    "c", NULL, &run, &test);
        static const struct {
                const char *job, *because;
        } rows[] = { { "t", "c" }, { "u", "c" }, { "d", "u" }, { "n", "m" }, { "f", NULL }, { "b", NULL } };
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                size_t job = (size_t) (pipeline_find_job(test.pipeline, rows[i].job) - test.pipeline->jobs);
                size_t because = run.jobs[job].because;

                assert_row(because == SIZE_MAX ? !rows[i].because :
                                                 streq_null(rows[i].because, test.pipeline->jobs[because].name),
                           i, rows[i].job);
        }
        size_t c = (size_t) (pipeline_find_job(test.pipeline, "c") - test.pipeline->jobs);
        assert_string_equal(run.jobs[c].failure, "script_failure");
        assert_int_equal(run.jobs[c].exit_code, 3);
        test_pipeline_done(&test);
}

static void test_blocked(_unused_ void **state) {
        TestPipeline test;
        RunState run;

        (void) play("b: {" B ", when: manual, allow_failure: false}\nc: {" B ", when: manual}\nd: {" B
                    ", when: delayed, start_in: 1 day}\nt: {" S "}",
                    "", NULL, &run, &test);
        assert_true(run_state_idle(&run));
        assert_true(run_state_blocks(&run, 0));
        assert_false(run_state_blocks(&run, 1));
        assert_true(run_state_blocks(&run, 2));
        assert_false(run_state_blocks(&run, 3));
        assert_int_equal(run_state_exit_status(&run), 0);
        test_pipeline_done(&test);
}

/* What waits goes before in GitLab's status, but not in ours. */
static void test_failed_and_blocked(_unused_ void **state) {
        static const struct {
                const char *yaml, *failing;
                JobStatus status;
                int exit_status;
        } rows[] = {
                { "b: {" B "}\nm: {" B ", when: manual, allow_failure: false}\nt: {" S "}", "b", JOB_MANUAL, 1 },
                { "b: {" B "}\nm: {" B ", when: delayed, start_in: 1 day}\nt: {" S "}", "b", JOB_SCHEDULED, 1 },
                { "b: {" B ", allow_failure: true}\nm: {" B ", when: manual, allow_failure: false}", "b", JOB_MANUAL,
                  0 },
                { "b: {" B "}\nm: {" B ", when: manual}\nt: {" S "}", "b", JOB_FAILED, 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                TestPipeline test;
                RunState run;

                (void) play(rows[i].yaml, rows[i].failing, NULL, &run, &test);
                assert_row(run_state_status(&run) == rows[i].status, i, rows[i].yaml);
                assert_row(run_state_exit_status(&run) == rows[i].exit_status, i, rows[i].yaml);
                test_pipeline_done(&test);
        }
}

static void test_cancel(_unused_ void **state) {
        static const MemoryFile files[] = { { NULL, ".gitlab-ci.yml",
                                              "b: {" B "}\nc: {" B "}\nm: {" B ", when: manual}\nt: {" S
                                              ", retry: 2}\nd: {" D ", when: always}" },
                                            { 0 } };
        static const JobStatus expected[] = { JOB_SUCCESS, JOB_CANCELED, JOB_MANUAL, JOB_CANCELED, JOB_CANCELED };
        TestPipeline test;
        RunState run;

        test_pipeline_init(&test, files);
        test_pipeline_run(&test);
        run_state_init(&run, test.pipeline, NULL);
        run_state_start(&run, 0);
        assert_int_equal(run_state_finish(&run, 0, &(RunEnd){ .success = true }), RUN_GOES_ON);
        run_state_start(&run, 1);
        run_state_cancel(&run);
        assert_int_equal(run.jobs[1].status, JOB_CANCELING);
        assert_int_equal(run_state_status(&run), JOB_CANCELING);
        assert_false(run_state_idle(&run));
        assert_int_equal(run_state_next(&run), SIZE_MAX);
        /* Whatever its script said in the end. */
        assert_int_equal(run_state_finish(&run, 1, &(RunEnd){ false, "script_failure", 1 }), RUN_GOES_ON);
        assert_true(run_state_idle(&run));
        for (size_t i = 0; i < ELEMENTSOF(expected); i++)
                assert_row(run.jobs[i].status == expected[i], i, test.pipeline->jobs[i].name);
        assert_int_equal(run_state_status(&run), JOB_CANCELED);
        assert_int_equal(run_state_exit_status(&run), 130);
        test_pipeline_done(&test);
}

/* Jobs of a group follow each other, in the order in which their turn came. */
static void test_resource_groups(_unused_ void **state) {
        static const MemoryFile files[] = { { NULL, ".gitlab-ci.yml",
                                              "variables: {WHERE: live}\na: {" B ", resource_group: $WHERE}\nb: {" B
                                              ", resource_group: live}\nc: {" B "}\nd: {" B
                                              ", resource_group: live, retry: 1}\ne: {" B ", resource_group: test}" },
                                            { 0 } };
        TestPipeline test;
        RunState run;

        test_pipeline_init(&test, files);
        test_pipeline_run(&test);
        assert_string_equal(test_pipeline_problems(&test), "");
        run_state_init(&run, test.pipeline, NULL);
        static const size_t at_once[] = { 0, 2, 4 };
        for (size_t i = 0; i < ELEMENTSOF(at_once); i++) {
                assert_int_equal(run_state_next(&run), at_once[i]);
                run_state_start(&run, at_once[i]);
        }
        assert_int_equal(run_state_next(&run), SIZE_MAX);
        (void) run_state_finish(&run, 0, &(RunEnd){ .success = true });
        assert_int_equal(run_state_next(&run), 1);
        run_state_start(&run, 1);
        assert_int_equal(run_state_next(&run), SIZE_MAX);
        (void) run_state_finish(&run, 1, &(RunEnd){ false, "script_failure", 1 });
        assert_int_equal(run_state_next(&run), 3);
        run_state_start(&run, 3);
        assert_int_equal(run_state_finish(&run, 3, &(RunEnd){ false, "script_failure", 1 }), RUN_TRY_AGAIN);
        assert_int_equal(run_state_next(&run), 3);
        run_state_cancel(&run);
        assert_int_equal(run_state_next(&run), SIZE_MAX);
        test_pipeline_done(&test);
}

/* A quarter of the jobs that there may be, of the first and the last stage by turns. */
static char *many_jobs(unsigned first, bool by_needs) {
        char *yaml = calloc(PIPELINE_JOBS_MAX / 4, 200);
        size_t size = 0;

        assert_non_null(yaml);
        for (unsigned i = first; i < first + PIPELINE_JOBS_MAX / 4; i++) {
                size += (size_t) sprintf(yaml + size, "j%u: {script: x, stage: %s", i, i % 2 ? "deploy" : "build");
                for (unsigned k = 1; by_needs && k <= 6 && 2 * k <= i; k++)
                        size += (size_t) sprintf(yaml + size, "%sj%u", k == 1 ? ", needs: [" : ",", i - 2 * k);
                size += (size_t) sprintf(yaml + size, "%s}\n", by_needs && i > 1 ? "]" : "");
        }
        return yaml;
}

/* As many as there may be, each of which needs some before; and the same in stages. This would take minutes if each
 * change cost as much as there are jobs and needs. */
static void test_many(_unused_ void **state) {
        for (unsigned by_needs = 0; by_needs <= 1; by_needs++) {
                MemoryFile files[] = { { NULL, ".gitlab-ci.yml", "include: ['1.yml', '2.yml', '3.yml', '4.yml']" },
                                       { NULL, "1.yml", many_jobs(0, by_needs) },
                                       { NULL, "2.yml", many_jobs(PIPELINE_JOBS_MAX / 4, by_needs) },
                                       { NULL, "3.yml", many_jobs(PIPELINE_JOBS_MAX / 2, by_needs) },
                                       { NULL, "4.yml", many_jobs(PIPELINE_JOBS_MAX / 4 * 3, by_needs) },
                                       { 0 } };
                TestPipeline test;
                RunState run;
                size_t n_run = 0;

                test_pipeline_init(&test, files);
                test_pipeline_run(&test);
                assert_string_equal(test_pipeline_problems(&test), "");
                run_state_init(&run, test.pipeline, NULL);
                for (size_t i; (i = run_state_next(&run)) != SIZE_MAX; n_run++) {
                        run_state_start(&run, i);
                        (void) run_state_finish(&run, i, &(RunEnd){ .success = true });
                }
                assert_int_equal(n_run, PIPELINE_JOBS_MAX);
                assert_int_equal(run_state_status(&run), JOB_SUCCESS);
                for (size_t i = 1; files[i].path; i++)
                        free((char *) (uintptr_t) files[i].text);
                test_pipeline_done(&test);
        }
}

static void test_rounds(_unused_ void **state) {
        static const MemoryFile files[] = {
                { NULL, ".gitlab-ci.yml",
                  "b: {" B "}\nm: {" B ", when: manual}\nt: {" S "}\nf: {" S ", when: on_failure}\nn: {" D
                  ", needs: [b]}\nd: {" D "}" },
                { 0 },
        };
        static const unsigned expected[] = { 1, 0, 2, 0, 2, 3 };
        TestPipeline test;
        RunState run;

        test_pipeline_init(&test, files);
        test_pipeline_run(&test);
        const unsigned *rounds = run_state_rounds(test.pipeline, &run);
        for (size_t i = 0; i < ELEMENTSOF(expected); i++)
                assert_row(rounds[i] == expected[i], i, test.pipeline->jobs[i].name);
        assert_int_equal(run.jobs[1].status, JOB_MANUAL);
        assert_int_equal(run.jobs[3].status, JOB_SKIPPED);
        test_pipeline_done(&test);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_composite), cmocka_unit_test(test_pipelines),
        cmocka_unit_test(test_some),      cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_blocked),   cmocka_unit_test(test_failed_and_blocked),
        cmocka_unit_test(test_cancel),    cmocka_unit_test(test_resource_groups),
        cmocka_unit_test(test_many),      cmocka_unit_test(test_rounds),
};
UNIT_FILE(tests);
