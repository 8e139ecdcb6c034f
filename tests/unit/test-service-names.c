/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/string.h"
#include "job/services.h"

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* @expected: names with blanks between. */
static bool are(char *const *names, const char *expected) {
        char text[512] = "";

        for (; names && *names; names++)
                snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", *text ? " " : "", *names);
        return streq(text, expected);
}

static void test_of_image(_unused_ void **state) {
        static const struct {
                const char *image, *names;
        } table[] = {
                { "postgres", "postgres" },
                { "postgres:16", "postgres" },
                { "postgres@3", "postgres" },
                { "my_postgres-1.2", "my_postgres-1.2" },
                { "library/postgres:16", "library__postgres library-postgres" },
                { "docker.io/library/postgres", "docker.io__library__postgres docker.io-library-postgres" },
                { "reg.tld:8080/ns/svc:1", "reg.tld__ns__svc reg.tld-ns-svc" },
                { "reg.tld:8080/ns/svc", "reg.tld__ns__svc reg.tld-ns-svc" },
                { "reg.tld:8080/ns/svc:1@" DIGEST, "reg.tld__ns__svc reg.tld-ns-svc" },
                { "localhost:5000/a_b/c:x@" DIGEST, "localhost__a_b__c localhost-a_b-c" },
                { "reg.tld/ns/svc@" DIGEST, "reg.tld__ns__svc reg.tld-ns-svc" },
                { "", "" },
                { "/", "__ -" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_strv_ char **names = NULL;

                assert_int_equal(service_names_of_image(table[i].image, &names), 0);
                assert_row(are(names, table[i].names), i, table[i].image);
        }
}

static void test_split(_unused_ void **state) {
        static const struct {
                const char *text, *names;
        } table[] = {
                { "", "" }, { " ,\n", "" }, { "db", "db" }, { "db,pg", "db pg" }, { " db, pg\tsql\nx ", "db pg sql x" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_strv_ char **names = NULL;

                assert_int_equal(service_names_split(table[i].text, &names), 0);
                assert_row(are(names, table[i].names), i, table[i].text);
        }
}

static void test_valid(_unused_ void **state) {
        static const struct {
                const char *name;
                bool valid;
        } table[] = {
                { "db", true },   { "a_b-c.d9", true },  { "_x", true },    { "", false },    { "-x", false },
                { ".x", false },  { "a b", false },      { "a\nb", false }, { "a#b", false }, { "a/b", false },
                { "a:b", false }, { "\xc3\xa4", false }, { "a\tb", false },
        };
        char longest[255];

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_row(service_name_is_valid(table[i].name) == table[i].valid, i, table[i].name);
        memset(longest, 'a', sizeof(longest));
        longest[254] = 0;
        assert_false(service_name_is_valid(longest));
        longest[253] = 0;
        assert_true(service_name_is_valid(longest));
}

static void test_assign(_unused_ void **state) {
        static const struct {
                const char *name, *alias;
                const char *names, *taken, *invalid;
        } table[] = {
                { "postgres:15", NULL, "postgres", "", "" },
                /* all taken: it is not started */
                { "postgres:16", NULL, "", "postgres", "" },
                { "postgres:16", "db new", "db new", "postgres", "" },
                { "postgres:16", "DB, other", "other", "postgres DB", "" },
                { "r.tld:1/a/b", "x#y build localhost myjob b b", "r.tld__a__b r.tld-a-b b", "build localhost myjob",
                  "x#y" },
                { "r.tld:2/a/b", "bb", "bb", "r.tld__a__b r.tld-a-b", "" },
                { NULL, "z", "", "", "" },
                { "a b", NULL, "", "", "a b" },
        };
        JobService services[ELEMENTSOF(table)] = { 0 };
        JobSpec job = { .services = services, .n_services = ELEMENTSOF(table) };
        ServiceNames *all = NULL;

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                services[i] = (JobService){ .name = (char *) table[i].name, .alias = (char *) table[i].alias };
        assert_int_equal(service_names_assign(&job, ARGV("myjob"), &all), 0);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                assert_row(are(all[i].names, table[i].names), i, table[i].name);
                assert_row(are(all[i].taken, table[i].taken), i, table[i].name);
                assert_row(are(all[i].invalid, table[i].invalid), i, table[i].name);
        }
        service_names_free(all, job.n_services);
}

/* An alias of two megabytes is split quickly, and refused before its names are compared. So is an image's name read. */
static void test_long(_unused_ void **state) {
        enum { BYTES = 2 * 1024 * 1024 };
        _cleanup_free_ char *text = malloc(BYTES + 1);
        _cleanup_strv_ char **names = NULL, **of_image = NULL;
        _cleanup_job_services_ JobServices services = JOB_SERVICES_NONE;

        for (size_t i = 0; i < BYTES; i++)
                text[i] = i % 2 ? ' ' : (char) ('a' + i / 2 % 26);
        text[BYTES] = 0;
        assert_int_equal(service_names_split(text, &names), 0);
        assert_int_equal(strv_length(names), BYTES / 2);
        JobService service = { .name = (char *) "db", .alias = text };
        const JobSpec job = { .services = &service, .n_services = 1 };
        assert_int_equal(job_services_name(&job, &services), SERVICES_LONG_NAMES);
        memset(text, '/', BYTES);
        assert_int_equal(service_names_of_image(text, &of_image), 0);
        assert_int_equal(strlen(of_image[0]), 2 * BYTES);
        assert_int_equal(strlen(of_image[1]), BYTES);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_image), cmocka_unit_test(test_split), cmocka_unit_test(test_valid),
        cmocka_unit_test(test_assign),   cmocka_unit_test(test_long),
};
UNIT_FILE(tests);
