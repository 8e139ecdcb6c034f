/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <sys/stat.h>

#include "base/fd.h"
#include "base/id.h"
#include "base/string.h"
#include "gitlab/job.h"
#include "job/identity.h"

static void set(const char *name, const char *value) {
        assert_int_equal(value ? setenv(name, value, true) : unsetenv(name), 0);
}

static void test_ids(_unused_ void **state) {
        static const struct {
                const char *id;
                bool fine;
        } table[] = {
                { "1", true },
                { "a", true },
                { "Z", true },
                { "4711-0a1b2c3d", true },
                { "9223372036854775807-ffffffff", true },
                { "my.job-1-x", true },
                { "my_job", false }, /* no host name */
                { "a--b", true },
                { "a.b.c", true },
                { "1234567890123456789012345678901234567890", true },
                { "12345678901234567890123456789012345678901", false },
                { "", false },
                { ".", false },
                { "..", false },
                { "-1", false },
                { "1-", false },
                { ".a", false },
                { "a.", false },
                { "_a", false },
                { "a_", false },
                { "a..b", false },
                { "a.-b", false },
                { "a-.b", false },
                { "a.b-c", true },
                { "a/b", false },
                { "/", false },
                { "../x", false },
                { "a b", false },
                { "a\n", false },
                { "\n", false },
                { "a\tb", false },
                { "a@b", false },
                { "a:b", false },
                { "a%b", false },
                { "a\\x2db", false },
                { "a*", false },
                { "a$b", false },
                { "\xc3\xa4", false },
                { "a\x7f", false },
                { "a\x80z", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_row(!id_problem(table[i].id) == table[i].fine, i, table[i].id);
}

/* Without a response, in this order: --id, CUSTOM_ENV_CI_JOB_ID, nothing. */
static void test_without_response(void **state) {
        static const struct {
                const char *option, *environment;
                int result;
                const char *id;
        } table[] = {
                { NULL, NULL, -ENODATA, NULL },
                { NULL, "", -ENODATA, NULL },
                { NULL, "12", 0, "12" },
                { "by-hand", NULL, 0, "by-hand" },
                { "by-hand", "12", 0, "by-hand" },
                { "by-hand", "../x", 0, "by-hand" },
                { "", "12", -EINVAL, NULL },
                { "../x", "12", -EINVAL, NULL },
                { NULL, "../../etc", -EINVAL, NULL },
                { NULL, "1\n2", -EINVAL, NULL },
                { NULL, "1 --register=yes", -EINVAL, NULL },
        };

        set("JOB_RESPONSE_FILE", NULL);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_job_spec_ JobSpec job = { 0 };
                Problem problem = { 0 };

                set("CUSTOM_ENV_CI_JOB_ID", table[i].environment);
                assert_row(gitlab_job_read(*state, table[i].option, &job, &problem) == table[i].result, i,
                           table[i].option);
                assert_row(streq_null(job.id, table[i].id), i, job.id);
                assert_row(!job.trusted, i, table[i].option);
                assert_row(!problem.text[0] == (table[i].result == 0), i, problem.text);
        }
        set("CUSTOM_ENV_CI_JOB_ID", NULL);
        /* Nothing was written for them. */
        assert_int_equal(rmdir(*state), 0);
        assert_int_equal(mkdir(*state, 0700), 0);
}

/* Writes @text as the response of a job and finds the identity that it stands for, which ends with the test. */
static int find(const char *directory, const char *text, const char *option, JobSpec *ret, Problem *problem) {
        _cleanup_close_ int dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_free_ char *path = NULL, *runtime_dir = NULL;

        assert_int_equal(string_printf(&path, "%s/response.json", directory), 0);
        assert_int_equal(string_printf(&runtime_dir, "%s/run/deep", directory), 0);
        assert_int_equal(file_replace_at(dir_fd, "response.json", text, strlen(text), 0600), 0);
        set("JOB_RESPONSE_FILE", path);
        *problem = (Problem){ 0 };
        int r = gitlab_job_read(runtime_dir, option, ret, problem);
        set("JOB_RESPONSE_FILE", NULL);
        return r;
}

#define RESPONSE(id, token, project, repository)                                            \
        "{\"id\":" id ",\"token\":\"" token "\",\"job_info\":{\"project_id\":" project "}," \
        "\"git_info\":{\"repo_url\":\"" repository "\"},\"variables\":[{\"key\":\"A\",\"value\":\"b\"}]}"

static void test_hash(void **state) {
        static const struct {
                const char *text, *response;
                bool same; /* as the first row */
        } table[] = {
                { "first", RESPONSE("7", "t", "1", "https://u:p@a.example/p.git"), true },
                { "again", RESPONSE("7", "t", "1", "https://u:p@a.example/p.git"), true },
                { "credentials do not count", RESPONSE("7", "t", "1", "https://a.example/p.git"), true },
                { "order does not count",
                  "{\"token\":\"t\",\"git_info\":{\"repo_url\":\"https://a.example/p.git\"},\"id\":7,"
                  "\"job_info\":{\"project_id\":1},\"image\":{\"name\":\"x\"}}",
                  true },
                { "other token", RESPONSE("7", "u", "1", "https://a.example/p.git"), false },
                { "other server", RESPONSE("7", "t", "1", "https://b.example/p.git"), false },
                { "other project", RESPONSE("7", "t", "2", "https://a.example/p.git"), false },
                { "other number", RESPONSE("8", "t", "1", "https://a.example/p.git"), false },
                { "no token", RESPONSE("7", "", "1", "https://a.example/p.git"), false },
                { "nothing but the number", "{\"id\":7}", false },
                { "moved border", RESPONSE("7", "th", "1", "ttps://a.example/p.git"), false },
        };
        _cleanup_strv_ char **ids = NULL;

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_job_spec_ JobSpec job = { 0 };
                Problem problem = { 0 };

                assert_row(find(*state, table[i].response, NULL, &job, &problem) == 0, i, problem.text);
                assert_row(job.trusted && !id_problem(job.id), i, job.id);
                /* NUMBER, '-', 8 hexadecimal digits */
                const char *hash = startswith(job.id, streq(table[i].text, "other number") ? "8-" : "7-");
                assert_row(hash && strlen(hash) == 8 && strspn(hash, "0123456789abcdef") == 8, i, job.id);
                assert_int_equal(strv_extend(&ids, job.id), 0);
                assert_row(streq(ids[i], ids[0]) == table[i].same, i, table[i].text);
                for (size_t j = 0; !table[i].same && j < i; j++)
                        assert_row(!streq(ids[i], ids[j]), i, table[j].text);
        }
}

/* The hash tells nothing about the token without the key, which only root can read. */
static void test_key(void **state) {
        _cleanup_job_spec_ JobSpec first = { 0 }, second = { 0 }, third = { 0 };
        _cleanup_free_ char *path = NULL;
        Problem problem = { 0 };
        struct stat st;

        assert_int_equal(string_printf(&path, "%s/run/deep/key", (char *) *state), 0);
        assert_int_equal(find(*state, "{\"id\":7,\"token\":\"t\"}", NULL, &first, &problem), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(st.st_size, 16);

        assert_int_equal(unlink(path), 0);
        assert_int_equal(find(*state, "{\"id\":7,\"token\":\"t\"}", NULL, &second, &problem), 0);
        assert_string_not_equal(first.id, second.id);

        assert_int_equal(truncate(path, 15), 0);
        assert_int_equal(find(*state, "{\"id\":7}", NULL, &third, &problem), -EBADMSG);
        assert_non_null(strstr(problem.text, "run/deep"));
        assert_null(third.id);
}

/* What the job, or who calls us, says besides does not matter. */
static void test_forged(void **state) {
        static const struct {
                const char *option, *claimed_id, *claimed_image;
        } table[] = {
                { NULL, NULL, NULL },        { NULL, "8", "other" }, { NULL, "8-00000000", "../../etc" },
                { NULL, "../../other", "" }, { "8", "8", "other" },  { "../other", NULL, NULL },
        };
        _cleanup_free_ char *expected = NULL;

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_job_spec_ JobSpec job = { 0 };
                Problem problem = { 0 };

                set("CUSTOM_ENV_CI_JOB_ID", table[i].claimed_id);
                set("CUSTOM_ENV_CI_JOB_IMAGE", table[i].claimed_image);
                assert_row(find(*state, RESPONSE("7", "t", "1", "https://a.example/p.git"), table[i].option, &job,
                                &problem) == 0,
                           i, problem.text);
                if (!expected)
                        expected = strdup(job.id);
                assert_row(streq(job.id, expected), i, job.id);
                assert_row(!job.image.name, i, job.image.name);
        }
        set("CUSTOM_ENV_CI_JOB_ID", NULL);
        set("CUSTOM_ENV_CI_JOB_IMAGE", NULL);
}

/* `image:` is the response's; only variables in it are taken as GitLab Runner expanded them. Without a response, a variable
 * of the job is all there is. */
static void test_image(void **state) {
        static const struct {
                const char *response, *claimed, *image;
        } table[] = {
                { "{\"id\":7,\"image\":{\"name\":\"job\"}}", "forged", "job" },
                { "{\"id\":7,\"image\":{\"name\":\"a/$X\"}}", "a/x", "a/x" },
                { "{\"id\":7,\"image\":{\"name\":\"a/$X\"}}", NULL, "a/$X" },
                { "{\"id\":7}", "forged", NULL },
                { NULL, "job", "job" },
                { NULL, "", NULL },
                { NULL, NULL, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_job_spec_ JobSpec job = { 0 };
                Problem problem = { 0 };

                set("CUSTOM_ENV_CI_JOB_IMAGE", table[i].claimed);
                int r = table[i].response ? find(*state, table[i].response, NULL, &job, &problem) :
                                            gitlab_job_read(*state, "7", &job, &problem);
                assert_row(r == 0, i, problem.text);
                assert_row(streq_null(job.image.name, table[i].image), i, job.image.name);
                assert_row(job.trusted == !!table[i].response, i, table[i].image);
        }
        set("CUSTOM_ENV_CI_JOB_IMAGE", NULL);
}

/* As GitLab Runner's Docker executor would: variables in `image:docker:user` are expanded, and a number is one. */
static void test_user(void **state) {
        static const struct {
                const char *user, *expanded;
        } table[] = {
                { "\"u:g\"", "u:g" }, { "1000", "1000" }, { "\"$U\"", "build" }, { "\"${U}s:$G\"", "builds:" },
                { "\"$$U\"", "$U" },  { "\"a$\"", "a$" }, { "\"${U\"", "${U" },  { "\"$-$U$U\"", "$-buildbuild" },
                { "\"\"", NULL },     { "null", NULL },   { "[\"u\"]", NULL },   { "\"$G\"", "" },
        };

        set("CUSTOM_ENV_U", "build");
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_job_spec_ JobSpec job = { 0 };
                _cleanup_free_ char *response = NULL;
                Problem problem = { 0 };

                assert_int_equal(string_printf(&response,
                                               "{\"id\":7,\"image\":{\"executor_opts\":{\"docker\":{\"user\":%s}}}}",
                                               table[i].user),
                                 0);
                assert_row(find(*state, response, NULL, &job, &problem) == 0, i, problem.text);
                assert_row(streq_null(job.image.user, table[i].expanded), i, job.image.user);
        }
        set("CUSTOM_ENV_U", NULL);
}

/* A response that cannot be read is an error: falling back to what the job says would be what a forger wants. */
static void test_bad_response(void **state) {
        static const char *const table[] = { "", "{}", "{\"id\":\"7\"}", "{\"id\":-7}", "not JSON", "{\"id\":7" };

        set("CUSTOM_ENV_CI_JOB_ID", "12");
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                JobSpec job = { 0 };
                Problem problem = { 0 };

                assert_row(find(*state, table[i], "13", &job, &problem) == -EBADMSG, i, table[i]);
                assert_row(!job.id, i, job.id);
                assert_row(strstr(problem.text, "JOB_RESPONSE_FILE") && strstr(problem.text, "response.json"), i,
                           problem.text);
        }

        JobSpec job = { 0 };
        Problem problem = { 0 };
        set("JOB_RESPONSE_FILE", "/no/such/file");
        assert_int_equal(gitlab_job_read(*state, "13", &job, &problem), -ENOENT);
        assert_null(job.id);
        assert_non_null(strstr(problem.text, "/no/such/file"));
        set("JOB_RESPONSE_FILE", NULL);
        set("CUSTOM_ENV_CI_JOB_ID", NULL);
}

/* A runtime directory that cannot be made. */
static void test_no_runtime_dir(void **state) {
        _cleanup_close_ int dir_fd = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        JobSpec job = { 0 };
        Problem problem = { 0 };

        assert_int_equal(file_replace_at(dir_fd, "run", "", 0, 0600), 0);
        assert_true(find(*state, "{\"id\":7}", NULL, &job, &problem) < 0);
        assert_non_null(strstr(problem.text, "run/deep"));
        assert_null(job.id);
}

static void test_services(_unused_ void **state) {
        static const struct {
                const char *id;
                unsigned number;
                size_t length;
        } table[] = {
                { "7-0badcafe.s1", 1, 10 },
                { "7.s59", 59, 1 },
                { "a.s1.s2", 2, 4 },
                { "7-0badcafe", 0, 0 },
                { "7.s0", 0, 0 },
                { "7.s60", 0, 0 },
                { "7.s01", 0, 0 },
                { "7.s", 0, 0 },
                { "7.sx", 0, 0 },
                { "7.s1x", 0, 0 },
                { "7s1", 0, 0 },
                { ".s1", 0, 0 },
                { "s1", 0, 0 },
                { "7.s99999999999999999999", 0, 0 },
        };
        static const char longest[] = "123456789012345678901234567890123456";
        char *id = NULL;

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *made = NULL, *job = NULL;
                size_t length = 0;

                assert_row(id_service_number(table[i].id, &length) == table[i].number, i, table[i].id);
                if (table[i].number == 0)
                        continue;
                assert_row(length == table[i].length, i, table[i].id);
                job = strndup(table[i].id, length);
                assert_int_equal(id_of_service(job, table[i].number, &made), 0);
                assert_row(streq(made, table[i].id) && !id_problem(made), i, made);
        }
        assert_int_equal(id_of_service(longest, 59, &id), 0);
        assert_null(id_problem(id));
        free(id);
        assert_int_equal(id_of_service("1234567890123456789012345678901234567", 59, &id), -ENAMETOOLONG);
        assert_int_equal(id_of_service("7", 0, &id), -ERANGE);
        assert_int_equal(id_of_service("7", 60, &id), -ERANGE);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_ids),
        cmocka_unit_test_setup_teardown(test_without_response, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_hash, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_key, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_forged, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_image, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_user, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_bad_response, setup_directory, teardown_directory),
        cmocka_unit_test_setup_teardown(test_no_runtime_dir, setup_directory, teardown_directory),
};
UNIT_FILE(tests);
