/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/fd.h"
#include "base/id.h"
#include "base/string.h"
#include "gitlab/environment.h"
#include "gitlab/response.h"
#include "gitlab/service-variables.h"
#include "job/services.h"

/* As gitlab-runner writes it. */
static const char full[] =
        "{\"id\":4711,\"token\":\"job-token\",\"allow_git_fetch\":true,"
        "\"job_info\":{\"name\":\"t\",\"stage\":\"test\",\"project_id\":33,\"project_name\":\"p\"},"
        "\"git_info\":{\"repo_url\":\"https://gitlab-ci-token:secret@gitlab.example/g/p.git\",\"ref\":\"main\","
        "\"depth\":0},\"runner_info\":{\"timeout\":3600},\"inputs\":{},"
        "\"variables\":[{\"key\":\"CI_JOB_ID\",\"value\":\"1\",\"public\":true},{\"key\":\"X\",\"value\":"
        "\"\\u003cb\\u0000\\u003e\"}],\"steps\":[{\"name\":\"script\",\"script\":[\"echo\"]}],"
        "\"image\":{\"name\":\"debian-12\",\"entrypoint\":null},\"services\":null,\"artifacts\":null,"
        "\"credentials\":[{\"type\":\"registry\",\"password\":\"hidden\"}],\"features\":{\"trace_sections\":true}}";

static int parse(const char *text, JobSpec *ret, Problem *problem) {
        /* An exact copy: sanitizers and valgrind see a read beyond its end. */
        size_t size = strlen(text);
        _cleanup_free_ char *exact = malloc(MAX(size, (size_t) 1));

        memcpy(exact, text, size);
        *problem = (Problem){ 0 };
        return response_parse(exact, size, ret, problem);
}

static void test_full(_unused_ void **state) {
        _cleanup_job_spec_ JobSpec job = { 0 };
        Problem problem = { 0 };

        assert_int_equal(parse(full, &job, &problem), 0);
        assert_int_equal(job.number, 4711);
        assert_string_equal(job.token, "job-token");
        assert_string_equal(job.image.name, "debian-12");
        assert_string_equal(job.repository, "https://gitlab.example/g/p.git");
        assert_int_equal(job.project_id, 33);
        assert_int_equal(job.timeout_sec, 3600);
        assert_true(job.trusted && !job.ref_protected);
        assert_string_equal(job.ref, "main");
        assert_null(job.image.entrypoint);
        assert_int_equal(job.n_services, 0);
        assert_int_equal(job.variables.n, 2);
        assert_true(job.variables.items[0].public && !job.variables.items[1].public);
        assert_string_equal(job.variables.items[1].key, "X");
        assert_true(streq(job.name, "t") && streq(job.stage, "test"));
        assert_true(!job.project && !job.url && !job.started_by); /* an older server's */
        assert_null(job.id);                                      /* that is not GitLab's to say */
        job_spec_done(&job);
        assert_null(job.token);
        assert_int_equal(job.number, 0);
        job_spec_done(&job); /* again is fine */
}

/* What the server says comes first; the job may say something else. */
static void test_description(_unused_ void **state) {
        static const char text[] =
                "{\"id\":1,\"job_info\":{\"name\":\"t\",\"project_full_path\":\"g/p\"},\"variables\":["
                "{\"key\":\"CI_PROJECT_PATH\",\"value\":\"g/old\"},{\"key\":\"CI_JOB_URL\",\"value\":\"https://a/1\"},"
                "{\"key\":\"GITLAB_USER_LOGIN\",\"value\":\"me\"},{\"key\":\"CI_JOB_URL\",\"value\":\"https://b/2\"}]}";
        _cleanup_job_spec_ JobSpec job = { 0 };
        Problem problem = { 0 };

        assert_int_equal(parse(text, &job, &problem), 0);
        assert_string_equal(job.project, "g/p");
        assert_string_equal(job.url, "https://a/1");
        assert_string_equal(job.started_by, "me");
        assert_null(job.stage);
}

static void assert_strings(char *const *strings, const char *const expected[]) {
        size_t i = 0;

        for (; expected[i]; i++)
                assert_string_equal(strings[i], expected[i]);
        assert_int_equal(strv_length(strings), i);
}

/* Image, services, caches and variables with all that they can have, and things among them that are none. */
static void test_lists(_unused_ void **state) {
        static const char text[] =
                "{\"id\":1,\"git_info\":{\"protected\":true},"
                "\"image\":{\"name\":\"a\",\"entrypoint\":[\"/e\",\"\",7],"
                "\"pull_policy\":[\"always\",7],\"executor_opts\":{\"docker\":{\"user\":\"u:g\",\"platform\":\"x\"}}},"
                "\"services\":[{\"name\":\"postgres:16\",\"alias\":\"db, pg\",\"entrypoint\":[\"/s\"],"
                "\"command\":[\"-c\",\"x\"],\"pull_policy\":[\"never\"],"
                "\"executor_opts\":{\"docker\":{\"user\":70,\"platform\":\"y\"}},"
                "\"variables\":[{\"key\":\"P\",\"value\":\"1\",\"file\":true}]},7,{}],"
                "\"cache\":[{\"key\":\"k\",\"paths\":[\"a/\",\"b\"],\"policy\":\"pull\",\"untracked\":true}],"
                "\"variables\":[{\"key\":\"A\",\"value\":null,\"masked\":true},{\"value\":\"x\"},null,"
                "{\"key\":\"B\",\"value\":\"$A\",\"raw\":true,\"public\":\"true\"}],"
                "\"secrets\":{\"DB_PASSWORD\":{\"vault\":{\"path\":\"p\"},\"file\":true},\"OTHER\":null}}";
        _cleanup_job_spec_ JobSpec job = { 0 };
        Problem problem = { 0 };

        assert_int_equal(parse(text, &job, &problem), 0);
        assert_int_equal(strv_length(job.secret_names), 2);
        strv_sort(job.secret_names);
        assert_strings(job.secret_names, (const char *[]){ "DB_PASSWORD", "OTHER", NULL });
        assert_true(job.ref_protected);
        assert_strings(job.image.entrypoint, (const char *[]){ "/e", "", NULL });
        assert_string_equal(job.image.user, "u:g");
        assert_string_equal(job.image.platform, "x");
        assert_strings(job.image.pull_policies, (const char *[]){ "always", NULL });

        assert_int_equal(job.n_services, 3);
        assert_string_equal(job.services[0].name, "postgres:16");
        assert_string_equal(job.services[0].alias, "db, pg");
        assert_strings(job.services[0].entrypoint, (const char *[]){ "/s", NULL });
        assert_strings(job.services[0].command, (const char *[]){ "-c", "x", NULL });
        assert_true(job.services[0].variables.n == 1 && job.services[0].variables.items[0].file);
        assert_strings(job.services[0].pull_policies, (const char *[]){ "never", NULL });
        assert_string_equal(job.services[0].user, "70");
        assert_string_equal(job.services[0].platform, "y");
        assert_true(!job.services[1].name && !job.services[2].name);

        assert_int_equal(job.n_caches, 1);
        assert_string_equal(job.caches[0].key, "k");
        assert_strings(job.caches[0].paths, (const char *[]){ "a/", "b", NULL });
        assert_string_equal(job.caches[0].policy, "pull");
        assert_true(job.caches[0].untracked);

        assert_int_equal(job.variables.n, 2);
        assert_string_equal(job.variables.items[0].value, "");
        assert_true(job.variables.items[0].masked);
        assert_true(job.variables.items[1].raw && !job.variables.items[1].public);
}

/* However long a list is. */
static void test_long_lists(_unused_ void **state) {
        enum { N = 500000 };
        _cleanup_free_ char *text = malloc(2 * N * 8 + 100);
        _cleanup_job_spec_ JobSpec job = { 0 };
        Problem problem = { 0 };

        char *end = stpcpy(text, "{\"id\":1,\"cache\":[{\"paths\":[");
        for (size_t i = 0; i < N; i++)
                end = stpcpy(end, "\"a\",");
        end = stpcpy(end, "\"b\"]}],\"secrets\":{");
        for (size_t i = 0; i < N; i++)
                end += sprintf(end, "\"%zu\":1%s", i % 99999, i + 1 < N ? "," : "");
        strcpy(end, "}}");
        assert_int_equal(parse(text, &job, &problem), 0);
        assert_int_equal(strv_length(job.caches[0].paths), N + 1);
        assert_string_equal(job.caches[0].paths[N], "b");
        assert_int_equal(strv_length(job.secret_names), 99999);
}

/* Each of these would be expanded to half a megabyte, in each stage: no more of them are built than it takes to see that they
 * are too many. */
static void test_many_services(_unused_ void **state) {
        static const char one[] =
                "{\"name\":\"$LONG\",\"alias\":\"$LONG\",\"executor_opts\":{\"docker\":{\"user\":\"$LONG\"}}},";
        enum { N = 10000, LONG_BYTES = 100000 };
        _cleanup_free_ char *text = malloc(N * sizeof(one) + 100), *value = malloc(LONG_BYTES + 1);
        _cleanup_job_spec_ JobSpec job = { 0 };
        _cleanup_job_services_ JobServices services = JOB_SERVICES_NONE;
        _cleanup_name_table_ NameTable variables = { 0 };
        Problem problem = { 0 };
        size_t bytes = 0;

        char *end = stpcpy(text, "{\"id\":1,\"services\":[");
        for (size_t i = 0; i < N; i++)
                end = stpcpy(end, one);
        strcpy(end, "{}]}");
        assert_int_equal(parse(text, &job, &problem), 0);
        assert_int_equal(job.n_services_asked, N + 1);
        assert_int_equal(job.n_services, ID_SERVICES_MAX + 1);

        memset(value, 'x', LONG_BYTES);
        value[LONG_BYTES] = 0;
        assert_int_equal(setenv("CUSTOM_ENV_LONG", value, 1), 0);
        assert_int_equal(gitlab_variables(&variables), 0);
        assert_int_equal(gitlab_name_services(&job, &variables), 0);
        assert_int_equal(unsetenv("CUSTOM_ENV_LONG"), 0);
        for (size_t i = 0; i < job.n_services; i++)
                bytes += strlen(job.services[i].name) + strlen(job.services[i].alias) + strlen(job.services[i].user);
        assert_int_equal(bytes, (ID_SERVICES_MAX + 1) * 3 * LONG_BYTES);
        assert_int_equal(job_services_name(&job, &services), SERVICES_TOO_MANY);
}

/* Only the id has to be there; what is of another type counts as missing. */
static void test_values(_unused_ void **state) {
        static const struct {
                const char *text;
                uint64_t id;
                const char *image, *token, *repository;
                uint64_t project_id, timeout_sec;
        } table[] = {
                { "{\"id\":1}", 1, NULL, NULL, NULL, 0, 0 },
                { " \n{ \"id\" : 1 }\n", 1, NULL, NULL, NULL, 0, 0 },
                { "{\"id\":9223372036854775807}", INT64_MAX, NULL, NULL, NULL, 0, 0 },
                { "{\"id\":2,\"image\":null,\"token\":null,\"git_info\":null,\"job_info\":null,\"runner_info\":null}",
                  2, NULL, NULL, NULL, 0, 0 },
                { "{\"id\":2,\"image\":{},\"token\":\"\",\"git_info\":{},\"job_info\":{},\"runner_info\":{}}", 2, NULL,
                  NULL, NULL, 0, 0 },
                { "{\"id\":2,\"image\":{\"name\":\"\"},\"git_info\":{\"repo_url\":\"\"}}", 2, NULL, NULL, NULL, 0, 0 },
                { "{\"id\":2,\"image\":{\"name\":null}}", 2, NULL, NULL, NULL, 0, 0 },
                { "{\"id\":2,\"image\":null,\"token\":7,\"git_info\":[],\"job_info\":7,\"runner_info\":\"\"}", 2, NULL,
                  NULL, NULL, 0, 0 },
                { "{\"id\":2,\"job_info\":{\"project_id\":-3},\"runner_info\":{\"timeout\":-1}}", 2, NULL, NULL, NULL,
                  0, 0 },
                { "{\"id\":2,\"runner_info\":{\"timeout\":1.5}}", 2, NULL, NULL, NULL, 0, 0 },
                /* variables of the job are not asked */
                { "{\"id\":2,\"variables\":[{\"key\":\"id\",\"value\":\"3\"},{\"key\":\"CI_JOB_IMAGE\",\"value\":"
                  "\"x\"}]}",
                  2, NULL, NULL, NULL, 0, 0 },
                { "{\"id\":2,\"image\":{\"name\":\"../x\\n\"}}", 2, "../x\n", NULL, NULL, 0, 0 },
                { "{\"id\":2,\"git_info\":{\"repo_url\":\"/srv/p.git\"}}", 2, NULL, NULL, "/srv/p.git", 0, 0 },
                { "{\"id\":2,\"git_info\":{\"repo_url\":\"file:///srv/a@b.git\"}}", 2, NULL, NULL,
                  "file:///srv/a@b.git", 0, 0 },
                { "{\"id\":2,\"git_info\":{\"repo_url\":\"https://u:p@w@host:8443/a@b\"}}", 2, NULL, NULL,
                  "https://host:8443/a@b", 0, 0 },
                { "{\"id\":2,\"git_info\":{\"repo_url\":\"https://u@host\"}}", 2, NULL, NULL, "https://host", 0, 0 },
                { "{\"id\":2,\"git_info\":{\"repo_url\":\"https://u@\"}}", 2, NULL, NULL, "https://", 0, 0 },
                { "{\"id\":2,\"git_info\":{\"repo_url\":\"git@host:a.git\"}}", 2, NULL, NULL, "git@host:a.git", 0, 0 },
        };
        Problem problem = { 0 };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_job_spec_ JobSpec job = { 0 };

                assert_row(parse(table[i].text, &job, &problem) == 0, i, problem.text);
                assert_row(job.number == table[i].id, i, table[i].text);
                assert_row(streq_null(job.image.name, table[i].image), i, job.image.name);
                assert_row(streq_null(job.token, table[i].token), i, job.token);
                assert_row(streq_null(job.repository, table[i].repository), i, job.repository);
                assert_row(job.project_id == table[i].project_id, i, table[i].text);
                assert_row(job.timeout_sec == table[i].timeout_sec, i, table[i].text);
        }
}

static void test_malformed(_unused_ void **state) {
        static const char *const table[] = {
                "",
                " ",
                "\n",
                "null",
                "7",
                "\"id\"",
                "[]",
                "[{\"id\":1}]",
                "{}",
                "{",
                "{\"id\":1",
                "{\"id\":1} x",
                "{\"id\":1}{\"id\":2}",
                "{\"id\":}",
                "{\"id\":0}",
                "{\"id\":-1}",
                "{\"id\":1.0}",
                "{\"id\":1e3}",
                "{\"id\":\"1\"}",
                "{\"id\":null}",
                "{\"id\":true}",
                "{\"id\":[1]}",
                "{\"id\":1,\"image\":\"debian\"}",
                "{\"id\":1,\"image\":{\"name\":[\"debian\"]}}",
                "{\"id\":9223372036854775808}",
                "{\"ID\":1}",
                "{\"id\":1,\"token\":\"\xff\"}",
                "\xef\xbb\xbf{\"id\":1}",
        };
        Problem problem = { 0 };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                JobSpec job = { .number = 4711 };

                assert_row(parse(table[i], &job, &problem) == -EBADMSG, i, table[i]);
                assert_row(problem.text[0], i, table[i]);
                assert_row(job.number == 4711 && !job.token, i, table[i]);
        }
}

/* However deep: an error, and no overflow of the stack. */
static void test_deep(_unused_ void **state) {
        const size_t depth = 1000000;
        _cleanup_free_ char *text = malloc(depth + 1);
        JobSpec job;
        Problem problem = { 0 };

        memset(text, '[', depth);
        text[depth] = 0;
        assert_int_equal(parse(text, &job, &problem), -EBADMSG);
}

/* The reason goes to the job's log, what is in the file must not. */
static void test_no_secret(_unused_ void **state) {
        static const char *const table[] = {
                "{\"id\":1,\"token\":\"secret\" secret}",
                "{\"token\":\"secret\",\"id\":secret}",
                "{\"token\":\"secret\"}",
                "secret",
                "{\"id\":\"secret\"}",
        };
        JobSpec job;
        Problem problem = { 0 };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                assert_row(parse(table[i], &job, &problem) == -EBADMSG, i, table[i]);
                assert_row(!strstr(problem.text, "secret"), i, problem.text);
        }
}

static void test_file(void **state) {
        _cleanup_free_ char *path = NULL, *link = NULL;
        _cleanup_close_ int dir_fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_job_spec_ JobSpec job = { 0 };
        Problem problem = { 0 };

        assert_int_equal(string_printf(&path, "%s/response.json", (char *) *state), 0);
        assert_int_equal(response_read(path, &job, &problem), -ENOENT);
        assert_int_equal(response_read(*state, &job, &problem), -EISDIR);
        assert_int_equal(file_replace_at(dir_fd, "response.json", "", 0, 0600), 0);
        assert_int_equal(response_read(path, &job, &problem), -EBADMSG);
        assert_true(problem.text[0]);
        assert_int_equal(file_replace_at(dir_fd, "response.json", full, sizeof(full) - 1, 0600), 0);
        assert_int_equal(response_read(path, &job, &problem), 0);
        assert_int_equal(job.number, 4711);

        assert_int_equal(string_printf(&link, "%s/link", (char *) *state), 0);
        assert_int_equal(symlink(path, link), 0);
        assert_int_equal(response_read(link, &job, &problem), -ELOOP);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_description),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_long_lists),
        cmocka_unit_test(test_many_services),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_no_secret),
        cmocka_unit_test_setup_teardown(test_file, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
