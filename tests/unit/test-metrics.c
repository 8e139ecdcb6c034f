/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <stdio.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/string.h"
#include "cli/metrics-http.h"
#include "gitlab/stage.h"
#include "machine/metrics.h"

static MetricsJob job_of(const char *image, uint64_t project_id) {
        return (MetricsJob){
                .image = image,
                .project_id = project_id,
                .usage = { .cpu_usec = 1500000,
                           .memory_peak_bytes = 4096,
                           .written_bytes = 10,
                           .received_bytes = UINT64_MAX,
                           .sent_bytes = UINT64_MAX },
                .steps_usec = 2000000,
                .prepare_usec = 300000,
                .end = JOB_MEMORY,
        };
}

static char *add(char *text, const char *image, uint64_t project_id) {
        MetricsJob job = job_of(image, project_id);
        char *after;

        assert_int_equal(metrics_add(text, &job, &after), 0);
        free(text);
        return after;
}

static char *add_event(char *text, const MetricsJob *job) {
        char *after;

        assert_int_equal(metrics_add(text, job, &after), 0);
        free(text);
        return after;
}

static void assert_has(const char *text, const char *line) {
        if (!strstr(text, line))
                fail_msg("'%s' is not in:\n%s", line, text);
}

static void test_sums(void **state) {
        _cleanup_free_ char *text = add(add(add(NULL, "debian", 7), "debian", 7), "debian", 8);

        (void) state;
        assert_has(text, "# TYPE nspawn_runner_jobs_total counter\n");
        assert_has(text, "nspawn_runner_jobs_total{image=\"debian\",project=\"7\"} 2\n");
        assert_has(text, "nspawn_runner_jobs_total{image=\"debian\",project=\"8\"} 1\n");
        assert_has(text, "nspawn_runner_cpu_seconds_total{image=\"debian\",project=\"7\"} 3\n");
        assert_has(text, "nspawn_runner_cpu_seconds_total{image=\"debian\",project=\"8\"} 1.5\n");
        /* The highest, not the sum; and what the host does not tell stays as it is. */
        assert_has(text, "nspawn_runner_memory_peak_bytes{image=\"debian\",project=\"7\"} 4096\n");
        assert_has(text, "nspawn_runner_written_bytes_total{image=\"debian\",project=\"7\"} 20\n");
        assert_has(text, "# TYPE nspawn_runner_network_sent_bytes_total counter\n");
        assert_null(strstr(text, "nspawn_runner_network_sent_bytes_total{"));
        assert_has(text, "nspawn_runner_step_seconds_total{image=\"debian\",project=\"7\"} 4\n");
        assert_null(strstr(text, "\n\n"));
}

/* How jobs ended, how long they took to prepare, and what failed before there was a job. */
static void test_results(void **state) {
        _cleanup_free_ char *text = add(add(NULL, "debian", 7), "debian", 7);
        MetricsJob failed = { .failure = PREPARE_DISK }, slow = job_of("debian", 7);

        (void) state;
        slow.prepare_usec = 700 * USEC_PER_SEC;
        slow.end = JOB_SUCCESS;
        text = add_event(add_event(text, &failed), &slow);
        assert_has(text, "# TYPE nspawn_runner_job_results_total counter\n");
        assert_has(text, "nspawn_runner_job_results_total{result=\"failed\",cause=\"memory\"} 2\n");
        assert_has(text, "nspawn_runner_job_results_total{result=\"success\",cause=\"none\"} 1\n");
        assert_has(text, "nspawn_runner_job_results_total{result=\"canceled\",cause=\"none\"} 0\n");
        assert_has(text, "nspawn_runner_prepare_failures_total{cause=\"disk\"} 1\n");
        assert_has(text, "nspawn_runner_prepare_failures_total{cause=\"job\"} 0\n");
        assert_has(text, "# TYPE nspawn_runner_prepare_seconds histogram\n");
        assert_has(text, "nspawn_runner_prepare_seconds_bucket{le=\"0.25\"} 0\n");
        assert_has(text, "nspawn_runner_prepare_seconds_bucket{le=\"0.5\"} 2\n");
        assert_has(text, "nspawn_runner_prepare_seconds_bucket{le=\"600.0\"} 2\n");
        assert_has(text, "nspawn_runner_prepare_seconds_bucket{le=\"+Inf\"} 3\n");
        assert_has(text, "nspawn_runner_prepare_seconds_sum 700.6\n");
        assert_has(text, "nspawn_runner_prepare_seconds_count 3\n");
        assert_has(text, "nspawn_runner_jobs_total{image=\"debian\",project=\"7\"} 3\n");
}

/* The same sums as OpenMetrics has them. */
static void test_open(void **state) {
        _cleanup_free_ char *text = add(NULL, "debian", 7), *open = NULL;
        _cleanup_metrics_sums_ MetricsSums sums = { 0 };
        size_t size;

        (void) state;
        assert_int_equal(metrics_sums_read(&sums, text), 0);
        FILE *f = open_memstream(&open, &size);
        assert_non_null(f);
        metrics_sums_write(f, &sums, METRICS_OPEN);
        assert_int_equal(fclose(f), 0);
        assert_has(open, "# TYPE nspawn_runner_jobs counter\nnspawn_runner_jobs_total{");
        assert_has(open, "# TYPE nspawn_runner_cpu_seconds counter\n# UNIT nspawn_runner_cpu_seconds seconds\n");
        assert_has(open,
                   "# TYPE nspawn_runner_memory_peak_bytes gauge\n# UNIT nspawn_runner_memory_peak_bytes bytes\n");
        assert_has(open, "nspawn_runner_prepare_seconds_count 1\n");
        assert_null(strstr(open, "# TYPE nspawn_runner_jobs_total"));
}

/* What was noted of the scripts of a job, in their order, and what that says of the job. */
static void test_ends(void **state) {
        static const struct {
                struct {
                        const char *stage;
                        JobEnd end;
                } scripts[4];
                JobEnd end;
        } cases[] = {
                { .end = JOB_UNFINISHED },
                { { { "get_sources", JOB_SUCCESS } }, JOB_UNFINISHED },
                { { { "get_sources", JOB_SUCCESS }, { "build_script", JOB_SUCCESS } }, JOB_SUCCESS },
                { { { "get_sources", JOB_SCRIPT } }, JOB_SCRIPT },
                { { { "get_sources", JOB_SCRIPT }, { "get_sources", JOB_SUCCESS } }, JOB_UNFINISHED },
                { { { "get_sources", JOB_SCRIPT }, { "get_sources", JOB_SUCCESS }, { "build_script", JOB_SUCCESS } },
                  JOB_SUCCESS },
                { { { "build_script", JOB_MEMORY }, { "after_script", JOB_SUCCESS } }, JOB_MEMORY },
                { { { "build_script", JOB_SUCCESS }, { "after_script", JOB_SCRIPT } }, JOB_SUCCESS },
                { { { "build_script", JOB_DISK }, { "upload_artifacts_on_failure", JOB_SCRIPT } }, JOB_DISK },
                { { { "build_script", JOB_SUCCESS }, { "upload_artifacts_on_success", JOB_SIGNAL } }, JOB_SIGNAL },
                { { { "step_a", JOB_TASKS }, { "step_b", JOB_SUCCESS } }, JOB_TASKS },
                { { { "build_script", JOB_CANCELED }, { "cleanup_file_variables", JOB_SUCCESS } }, JOB_CANCELED },
                { { { "build_script", JOB_TIMEOUT } }, JOB_TIMEOUT },
                { { { NULL, JOB_SUCCESS } }, JOB_SUCCESS },
                { { { "a b c", JOB_START }, { "a b c", JOB_SUCCESS } }, JOB_SUCCESS },
        };
        MachineDirectory directory = { .path = *state, .fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };

        assert_true(directory.fd >= 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                (void) unlinkat(directory.fd, "result", 0);
                for (size_t j = 0; j < 4 && cases[i].scripts[j].end != JOB_UNFINISHED; j++) {
                        const char *stage = cases[i].scripts[j].stage;

                        job_end_note(&directory, stage, cases[i].scripts[j].end, gitlab_stage_decides(stage),
                                     gitlab_stage_is_own(stage));
                }
                assert_row(job_end_read(&directory) == cases[i].end, i, job_end_cause(job_end_read(&directory)));
        }
        static const char *const broken[] = { "failed", "failed ", "failed memory", "memory failed x", " ", "x y z" };
        for (size_t i = 0; i < ELEMENTSOF(broken); i++) {
                assert_int_equal(machine_file_write(&directory, "result", broken[i]), 0);
                assert_row(job_end_read(&directory) == JOB_UNFINISHED, i, broken[i]);
        }
        close(directory.fd);
}

static void test_http(void **state) {
        static const struct {
                const char *text;
                HttpRequest request;
        } cases[] = {
                { "GET /metrics HTTP/1.1\r\n", HTTP_GET },
                { "GET /metrics HTTP/1.0\n", HTTP_GET },
                { "HEAD /metrics HTTP/1.1\r\n", HTTP_HEAD },
                { "GET /metrics?name[]=x HTTP/1.1\r\n", HTTP_GET },
                { "GET http://host:9731/metrics HTTP/1.1\r\n", HTTP_GET },
                { "GET / HTTP/1.1\r\n", HTTP_OTHER_PATH },
                { "GET /metrics/ HTTP/1.1\r\n", HTTP_OTHER_PATH },
                { "GET /metric HTTP/1.1\r\n", HTTP_OTHER_PATH },
                { "GET http://host HTTP/1.1\r\n", HTTP_OTHER_PATH },
                { "POST /metrics HTTP/1.1\r\n", HTTP_OTHER_METHOD },
                { "get /metrics HTTP/1.1\r\n", HTTP_OTHER_METHOD },
                { "GET /metrics\r\n", HTTP_BAD },
                { "GET /metrics HTTP/2\r\n", HTTP_BAD },
                { "GET\r\n /metrics HTTP/1.1\r\n", HTTP_BAD },
                { "GET /metrics HTTP/1.1", HTTP_BAD },
                { " GET /metrics HTTP/1.1\r\n", HTTP_BAD },
                { "\r\n\r\n", HTTP_BAD },
                { "", HTTP_BAD },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_row(http_request_parse(cases[i].text) == cases[i].request, i, cases[i].text);
}

/* Names that jobs choose break neither out of their label nor lose their sums. */
static void test_hostile_names(void **state) {
        static const char *const names[] = {
                "a\"b",          "a\\",      "\\\"",   "x\"} 7\nnspawn_runner_jobs_total{image=\"y", "{image=\"", "",
                "\",project=\"", "\xff\xc3", "nul\x7f"
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *text = add(add(NULL, names[i], 0), names[i], 0);
                size_t lines = 0;

                for (const char *p = text; (p = strstr(p, "\nnspawn_runner_jobs_total{")); p++)
                        lines++;
                assert_row(lines == 1, i, text);
                assert_row(strstr(text, "\",project=\"\"} 2\n"), i, text);
        }
}

/* What is not ours, cut off or no number does no harm. */
static void test_broken_file(void **state) {
        static const char *const texts[] = {
                "",
                "\n\n",
                "nspawn_runner_jobs_total",
                "nspawn_runner_jobs_total{image=\"a",
                "nspawn_runner_jobs_total{image=\"a\",project=\"1\"}",
                "nspawn_runner_jobs_total{image=\"a\\",
                "nspawn_runner_jobs_total{image=\"debian\",project=\"7\"} nan\n",
                "nspawn_runner_jobs_total{image=\"debian\",project=\"7\"} -3\n",
                "nspawn_runner_jobs_total{image=\"debian\",project=\"7\"} 1e999\n",
                "nspawn_runner_jobs_total{image=\"debian\",project=\"7\"} 5 # {}\n",
                "nspawn_runner_jobs_total{image=\"\xff\",project=\"7\"} 5\n",
                "nspawn_runner_job_results_total{result=\"failed\",cause=\"memory\"} x\n",
                "nspawn_runner_prepare_seconds_bucket{le=\"0.1\"}\n",
                "other_total{image=\"debian\",project=\"7\"} 5\n",
                "# TYPE nspawn_runner_jobs_total counter\n",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_free_ char *text = add(strdup(texts[i]), "debian", 7);

                assert_row(strstr(text, "nspawn_runner_jobs_total{image=\"debian\",project=\"7\"} 1\n"), i, text);
        }
}

/* However many images jobs name, the file does not grow without end, and no job is lost. */
static void test_bounded(void **state) {
        enum { MORE = 20 };
        _cleanup_free_ char *text = NULL;
        char name[32];
        size_t size;

        (void) state;
        FILE *f = open_memstream(&text, &size);
        assert_non_null(f);
        for (unsigned i = 0; i < METRICS_PAIRS_MAX - MORE; i++)
                fprintf(f, "nspawn_runner_jobs_total{image=\"image-%u\",project=\"1\"} 1\n", i);
        assert_int_equal(fclose(f), 0);
        for (unsigned i = METRICS_PAIRS_MAX - MORE; i < METRICS_PAIRS_MAX + MORE; i++) {
                snprintf(name, sizeof(name), "image-%u", i);
                text = add(TAKE_PTR(text), name, 1);
        }
        assert_has(text, "nspawn_runner_jobs_total{image=\"other\",project=\"other\"} 20\n");
        text = add(TAKE_PTR(text), "image-3", 1);
        assert_has(text, "nspawn_runner_jobs_total{image=\"image-3\",project=\"1\"} 2\n");
}

/* Several at once: each is counted. */
static void test_file(void **state) {
        _cleanup_free_ char *path = NULL, *text = NULL;
        MetricsJob job = job_of("debian", 7);
        pid_t children[8];
        struct stat st;

        assert_int_equal(string_printf(&path, "%s/nspawn-runner.prom", (const char *) *state), 0);
        for (size_t i = 0; i < ELEMENTSOF(children); i++) {
                children[i] = fork();
                assert_true(children[i] >= 0);
                if (children[i] == 0)
                        _exit(metrics_file_add(path, &job) != 0);
        }
        for (size_t i = 0; i < ELEMENTSOF(children); i++) {
                int status;

                assert_int_equal(waitpid(children[i], &status, 0), children[i]);
                assert_int_equal(status, 0);
        }
        assert_int_equal(file_read_at(AT_FDCWD, path, 1 << 20, &text, NULL), 0);
        assert_has(text, "nspawn_runner_jobs_total{image=\"debian\",project=\"7\"} 8\n");
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0644);
        free(TAKE_PTR(path));
        assert_int_equal(string_printf(&path, "%s/none/x.prom", (const char *) *state), 0);
        assert_int_equal(metrics_file_add(path, &job), -ENOENT);
        assert_true(metrics_file_add(*state, &job) < 0);
}

static void test_steps(void **state) {
        MachineDirectory directory = { .path = *state, .fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
        _cleanup_free_ char *text = NULL;
        uint64_t total_usec;

        assert_true(directory.fd >= 0);
        assert_null(machine_steps_describe(&directory, NULL));
        assert_int_equal(machine_steps_add(&directory, "prepare", 450000), 0);
        assert_int_equal(machine_steps_add(&directory, "build_script", 2000000), 0);
        assert_int_equal(machine_steps_add(&directory, "build_script", 1000000), 0);
        assert_int_equal(machine_steps_add(&directory, "two\nlines 7", 0), 0);
        assert_int_equal(machine_steps_add(&directory, NULL, 0), 0);
        text = machine_steps_describe(&directory, &total_usec);
        assert_string_equal(text, "prepare 0.4s, build_script 3.0s, step 0.0s");
        assert_int_equal(total_usec, 3450000);

        /* Without an end. */
        static const char line[] = "a-step-with-a-name-that-is-about-as-long-as-the-names-of-steps 1\n";
        const size_t size = 61 * 1024 / strlen(line) * strlen(line);
        char *many = calloc(1, size + 1);
        assert_non_null(many);
        for (size_t i = 0; i < size; i += strlen(line))
                memcpy(many + i, line, strlen(line));
        assert_int_equal(machine_file_write(&directory, MACHINE_FILE_STEPS, many), 0);
        assert_int_equal(machine_steps_add(&directory, "more", 1), 0);
        free(text);
        text = machine_steps_describe(&directory, NULL);
        assert_string_equal(text, "a-step-with-a-name-that-is-about-as-long-as-the-names-of-steps 0.0s");
        free(many);
        close(directory.fd);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_open),
        cmocka_unit_test_setup_teardown(test_ends, setup_directory, teardown_directory),
        cmocka_unit_test(test_http),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_broken_file),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test_setup_teardown(test_file, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_steps, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
