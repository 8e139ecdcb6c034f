/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Which job's turn it is: the status of several jobs, and pipelines played to their end. */

#include "pipeline.h"
#include "pipeline/schedule.h"

/* One letter for each job: created, pending, running, success, failed, X canceled, K skipped, manual, D scheduled; in
 * capitals (F, M): with allow_failure. */
static StatusEntry entry(char letter) {
        static const char letters[] = "cprsfxkmd";
        char lower = letter == 'F' ? 'f' : letter == 'M' ? 'm' : letter == 'X' ? 'x' : letter;
        const char *at = strchr(letters, lower);

        assert_non_null(at);
        return (StatusEntry){ (JobStatus) (at - letters), letter != lower };
}

static void test_composite(_unused_ void **state) {
        static const struct {
                const char *jobs;
                JobStatus stage, needs;
        } rows[] = {
                { "", JOB_SUCCESS, JOB_SUCCESS },   { "s", JOB_SUCCESS, JOB_SUCCESS },
                { "ss", JOB_SUCCESS, JOB_SUCCESS }, { "sF", JOB_SUCCESS, JOB_SUCCESS },
                { "sf", JOB_FAILED, JOB_FAILED },   { "sk", JOB_SUCCESS, JOB_SKIPPED },
                { "k", JOB_SKIPPED, JOB_SKIPPED },  { "M", JOB_SKIPPED, JOB_SKIPPED },
                { "sM", JOB_SUCCESS, JOB_SKIPPED }, { "m", JOB_MANUAL, JOB_PENDING },
                { "sm", JOB_MANUAL, JOB_PENDING },  { "sx", JOB_CANCELED, JOB_CANCELED },
                { "sX", JOB_SUCCESS, JOB_SUCCESS }, { "c", JOB_CREATED, JOB_PENDING },
                { "cF", JOB_CREATED, JOB_PENDING }, { "cp", JOB_PENDING, JOB_PENDING },
                { "sp", JOB_RUNNING, JOB_PENDING }, { "r", JOB_RUNNING, JOB_PENDING },
                { "sc", JOB_RUNNING, JOB_PENDING }, { "d", JOB_SCHEDULED, JOB_PENDING },
                { "fr", JOB_RUNNING, JOB_PENDING }, { "fm", JOB_MANUAL, JOB_PENDING },
                { "fk", JOB_FAILED, JOB_SKIPPED },  { "fx", JOB_FAILED, JOB_FAILED },
                { "F", JOB_SUCCESS, JOB_SUCCESS },  { "kk", JOB_SKIPPED, JOB_SKIPPED },
                { "kM", JOB_SKIPPED, JOB_SKIPPED }, { "Fk", JOB_SUCCESS, JOB_SKIPPED },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                StatusEntry entries[8];
                size_t n = strlen(rows[i].jobs);

                for (size_t k = 0; k < n; k++)
                        entries[k] = entry(rows[i].jobs[k]);
                JobStatus stage = status_composite(entries, n, false), needs = status_composite(entries, n, true);
                if (stage != rows[i].stage || needs != rows[i].needs)
                        fail_msg("%s: %s and %s, not %s and %s", rows[i].jobs, job_status_name(stage),
                                 job_status_name(needs), job_status_name(rows[i].stage),
                                 job_status_name(rows[i].needs));
        }
}

/* Runs all pending jobs; those in @failing (names between blanks) fail with exit code 3. Returns "name=status" of all. */
static const char *play(const char *yaml, const char *failing, const char *played, JobStatus *ret_status) {
        static char result[1024];
        MemoryFile files[] = { { NULL, ".gitlab-ci.yml", yaml }, { 0 } };
        TestPipeline test;
        Schedule schedule;

        test_pipeline_init(&test, files);
        test_pipeline_run(&test);
        assert_string_equal(test_pipeline_problems(&test), "");
        schedule_init(&schedule, test.pipeline);
        for (bool again = true; again;) {
                again = schedule_update(&schedule);
                for (size_t i = 0; i < test.pipeline->n_jobs; i++) {
                        const PipelineJob *job = test.pipeline->jobs + i;

                        if (schedule.jobs[i].status == JOB_MANUAL && strstr(played, job->name)) {
                                schedule_play(&schedule, i);
                                again = true;
                        }
                        if (schedule.jobs[i].status != JOB_PENDING)
                                continue;
                        again = true;
                        schedule_start(&schedule, i);
                        /* "job*": fails the first time only. */
                        const char *at = strstr(failing, job->name);
                        bool once = at && at[strlen(job->name)] == '*';
                        (void) schedule_finish(&schedule, i, !at || (once && schedule.jobs[i].n_tries > 1), 3);
                }
        }
        result[0] = 0;
        for (size_t i = 0; i < test.pipeline->n_jobs; i++)
                if (test.pipeline->jobs[i].included)
                        snprintf(result + strlen(result), sizeof(result) - strlen(result), "%s%s=%s", i > 0 ? " " : "",
                                 test.pipeline->jobs[i].name, job_status_name(schedule.jobs[i].status));
        *ret_status = schedule_status(&schedule);
        test_pipeline_done(&test);
        return result;
}

#define B "script: x, stage: build"
#define S "script: x"
#define D "script: x, stage: deploy"

static void test_pipelines(_unused_ void **state) {
        static const struct {
                const char *yaml, *failing, *played, *result;
                JobStatus status;
        } rows[] = {
                { "b: {" B "}\nt: {" S "}", "", "", "b=success t=success", JOB_SUCCESS },
                { "b: {" B "}\nt: {" S "}\nd: {" D "}", "b", "", "b=failed t=skipped d=skipped", JOB_FAILED },
                { "b: {" B ", allow_failure: true}\nt: {" S "}", "b", "", "b=failed t=success", JOB_SUCCESS },
                { "b: {" B ", allow_failure: {exit_codes: 3}}\nt: {" S "}", "b", "", "b=failed t=success",
                  JOB_SUCCESS },
                { "b: {" B ", allow_failure: {exit_codes: [4]}}\nt: {" S "}", "b", "", "b=failed t=skipped",
                  JOB_FAILED },
                { "b: {" B "}\nt: {" S ", when: on_failure}\nd: {" D ", when: always}", "b", "",
                  "b=failed t=success d=success", JOB_FAILED },
                { "b: {" B "}\nt: {" S ", when: on_failure}\nd: {" D "}", "", "", "b=success t=skipped d=success",
                  JOB_SUCCESS },
                { "b: {" B ", allow_failure: true}\nt: {" S ", when: on_failure}", "b", "", "b=failed t=skipped",
                  JOB_SUCCESS },
                { "b: {" B ", when: on_failure}\nt: {" S ", when: on_failure, needs: []}", "", "",
                  "b=skipped t=skipped", JOB_SKIPPED },
                { "b: {" B ", when: manual}\nt: {" S "}", "", "", "b=manual t=success", JOB_SUCCESS },
                { "b: {" B ", when: manual, allow_failure: false}\nt: {" S "}", "", "", "b=manual t=created",
                  JOB_MANUAL },
                { "b: {" B ", when: manual, allow_failure: false}\nt: {" S "}", "", "b", "b=success t=success",
                  JOB_SUCCESS },
                { "b: {" B ", when: manual}\nt: {" S ", needs: [b]}\nd: {" D ", needs: [b], when: always}", "", "",
                  "b=manual t=skipped d=success", JOB_SUCCESS },
                { "b: {" B ", when: delayed, start_in: 1 day}\nt: {" S "}", "", "", "b=scheduled t=created",
                  JOB_SCHEDULED },
                { "b: {" B "}\nc: {" B "}\nt: {" S ", needs: [c]}\nd: {" D ", needs: []}", "b", "",
                  "b=failed c=success t=success d=success", JOB_FAILED },
                { "b: {" B "}\nt: {" S ", needs: [b]}\nd: {" D ", needs: [t]}", "b", "", "b=failed t=skipped d=skipped",
                  JOB_FAILED },
                { "b: {" B "}\nt: {" S ", needs: [b], when: on_failure}", "b", "", "b=failed t=success", JOB_FAILED },
                { "b: {" B ", retry: 1}\nt: {" S "}", "b*", "", "b=success t=success", JOB_SUCCESS },
                { "b: {" B ", retry: 1}\nt: {" S "}", "b", "", "b=failed t=skipped", JOB_FAILED },
                { "b: {" B ", retry: {max: 1, when: runner_system_failure}}\nt: {" S "}", "b*", "",
                  "b=failed t=skipped", JOB_FAILED },
                { "b: {" B ", retry: {max: 1, exit_codes: 3}}\nt: {" S "}", "b*", "", "b=success t=success",
                  JOB_SUCCESS },
                { "t: {" S ", needs: [u]}\nu: {" S "}", "", "", "t=success u=success", JOB_SUCCESS },
                { "t: {" S ", needs: [{job: none, optional: true}]}", "", "", "t=success", JOB_SUCCESS },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                JobStatus status;
                const char *result = play(rows[i].yaml, rows[i].failing, rows[i].played, &status);

                if (!streq(result, rows[i].result) || status != rows[i].status)
                        fail_msg("%s\n(%s fails): %s, %s\nnot %s, %s", rows[i].yaml, rows[i].failing, result,
                                 job_status_name(status), rows[i].result, job_status_name(rows[i].status));
        }
}

static void test_cancel(_unused_ void **state) {
        static const MemoryFile files[] = {
                { NULL, ".gitlab-ci.yml", "b: {" B "}\nc: {" B "}\nt: {" S "}\nd: {" D ", when: always}" }, { 0 }
        };
        TestPipeline test;
        Schedule schedule;

        test_pipeline_init(&test, files);
        test_pipeline_run(&test);
        schedule_init(&schedule, test.pipeline);
        assert_true(schedule_update(&schedule));
        schedule_start(&schedule, 0);
        (void) schedule_finish(&schedule, 0, true, 0);
        schedule_start(&schedule, 1);
        schedule_cancel(&schedule);
        assert_int_equal(schedule.jobs[0].status, JOB_SUCCESS);
        assert_int_equal(schedule.jobs[1].status, JOB_CANCELED);
        assert_int_equal(schedule.jobs[3].status, JOB_CANCELED);
        assert_false(schedule_update(&schedule));
        assert_int_equal(schedule_status(&schedule), JOB_CANCELED);
        test_pipeline_done(&test);
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
        Schedule schedule;

        test_pipeline_init(&test, files);
        test_pipeline_run(&test);
        const unsigned *rounds = schedule_rounds(test.pipeline, &schedule);
        for (size_t i = 0; i < ELEMENTSOF(expected); i++)
                assert_row(rounds[i] == expected[i], i, test.pipeline->jobs[i].name);
        assert_int_equal(schedule.jobs[1].status, JOB_MANUAL);
        assert_int_equal(schedule.jobs[3].status, JOB_SKIPPED);
        test_pipeline_done(&test);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_composite),
                cmocka_unit_test(test_pipelines),
                cmocka_unit_test(test_cancel),
                cmocka_unit_test(test_rounds),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
