/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The parts of an evaluation that stand alone: globs, durations, expansion of variables. */

#include <sys/resource.h>
#include <sys/wait.h>

#include "pipeline.h"
#include "pipeline/duration.h"
#include "pipeline/glob.h"

static void test_globs(_unused_ void **state) {
        static const struct {
                const char *glob, *path;
                bool matches;
        } rows[] = {
                { "*", "a", true },
                { "*", ".a", true },
                { "*", "a/b", false },
                { "**", "a", true },
                { "**", "a/b", false },
                { "a/**", "a/b", true },
                { "a/**", "a/b/c", false },
                { "**/*", "a", true },
                { "**/*", "a/b/c", true },
                { "**/*", ".h/x", true },
                { "**/*.rb", "x.rb", true },
                { "**/*.rb", ".h/a/x.rb", true },
                { "**/*.rb", "x.rbx", false },
                { "a/**/b", "a/b", true },
                { "a/**/b", "a/x/y/b", true },
                { "a/**/b", "a/x/y/c", false },
                { "docs/**.md", "docs/x.md", true },
                { "docs/**.md", "docs/x/y.md", false },
                { "a**/b", "ax/b", true },
                { "a**/b", "ax/y/b", false },
                { "a", "a", true },
                { "a", "a/b", false },
                { "a/", "a", false },
                { "a/", "a/b", false },
                { "./a", "a", false },
                { "/a", "a", false },
                { "*.{js,ts}", "x.ts", true },
                { "*.{js,ts}", "x.js", true },
                { "*.{js,ts}", "x.c", false },
                { "{a/x,b}/*", "a/x/1", true },
                { "{a/x,b}/*", "b/1", true },
                { "{b,{c,d}}", "d", true },
                { "{b,{c,d}}", "b", true },
                { "{a,b", "a", false },
                { "{a,b", "b", false },
                { "{a,b}{1,2}", "b2", true },
                { "a{,b}", "a", true },
                { "a{,b}", "ab", true },
                { "[!a]", "b", true },
                { "[!a]", "a", false },
                { "[^a]", "b", true },
                { "[a-c]", "b", true },
                { "[a-c]", "d", false },
                { "?", "x", true },
                { "?", "/", false },
                { "a?b", "a/b", false },
                { "a[/]b", "a/b", false },
                { "\\*", "*", true },
                { "\\*", "a", false },
                { "A", "a", false },
                { "?", "\xc3\xa9", true },
                { "[\xc3\xa0-\xc3\xbf]", "\xc3\xa9", true },
                { "a*b*c", "axxbyyc", true },
                { "a*b*c", "axxcyyb", false },
                { "**/**/x", "a/b/x", true },
                { "**/x", "x", true },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                assert_row(glob_match(rows[i].glob, rows[i].path) == rows[i].matches, i, rows[i].glob);
}

static void test_globs_end(_unused_ void **state) {
        char glob[512] = "", path[256];

        for (unsigned i = 0; i < 60; i++)
                strcat(glob, "{a,b}");
        memset(path, 'c', sizeof(path) - 1);
        path[255] = 0;
        assert_false(glob_match(glob, path));
        memset(path, 'a', sizeof(path) - 1);
        assert_false(glob_match("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", path));
}

/* "{}{}..." or "{{...}}", @n times. */
static void fill_braces(char *ret, unsigned n, bool nested) {
        for (unsigned i = 0; i < n; i++) {
                ret[nested ? i : 2 * i] = '{';
                ret[nested ? 2 * n - 1 - i : 2 * i + 1] = '}';
        }
        ret[2 * n] = 0;
}

static void test_many_braces(_unused_ void **state) {
        static const struct rlimit small = { .rlim_cur = 2 << 20, .rlim_max = 2 << 20 };
        static char glob[4096];

        for (unsigned nested = 0; nested < 2; nested++) {
                fill_braces(glob, 128, nested);
                assert_true(glob_match(glob, ""));
                fill_braces(glob, 129, nested);
                assert_false(glob_match(glob, ""));
        }
        for (unsigned nested = 0; nested < 2; nested++) {
                fill_braces(glob, 2047, nested);
                pid_t pid = fork();
                if (pid == 0) {
                        (void) setrlimit(RLIMIT_STACK, &small);
                        _exit(glob_match(glob, ""));
                }
                int status = -1;
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_int_equal(status, 0);
        }
}

static void test_wildcards(_unused_ void **state) {
        static const struct {
                const char *pattern, *path;
                bool matches;
        } rows[] = {
                { "ci/*.yml", "ci/a.yml", true },     { "ci/*.yml", "ci/a/b.yml", false },
                { "ci/**.yml", "ci/a/b.yml", true },  { "ci/**.yml", "ci/b.yml", true },
                { "**/*.yml", "a/b.yml", true },      { "**/*.yml", "b.yml", false },
                { "*.yml", ".gitlab.yml", true },     { "a?.yml", "ab.yml", false },
                { "a[b].yml", "ab.yml", false },      { "ci/**/x*.yml", "ci/a/b/x1.yml", true },
                { "ci/*/x.yml", "ci/a/x.yml", true }, { "ci/*/x.yml", "other/ci/a/x.yml", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                assert_row(wildcard_match(rows[i].pattern, rows[i].path) == rows[i].matches, i, rows[i].pattern);
}

static void test_durations(_unused_ void **state) {
        static const struct {
                const char *text;
                uint64_t seconds; /* UINT64_MAX: refused */
        } rows[] = {
                { "42", 42 },
                { "30 minutes", 1800 },
                { "3h 30m", 12600 },
                { "3h30m", 12600 },
                { "1 week", 604800 },
                { "2 hrs 20 min", 8400 },
                { "1 day", 86400 },
                { "1.5 hours", 5400 },
                { "1 hour and 5 minutes", 3900 },
                { "1 hour, 5 minutes", 3900 },
                { "6 mos 1 day", 15638400 },
                { "4:30", 270 },
                { "1:30:05", 5405 },
                { "10 Seconds", 10 },
                { "", UINT64_MAX },
                { "soon", UINT64_MAX },
                { "1 parsec", UINT64_MAX },
                { "h", UINT64_MAX },
                { "0x10", UINT64_MAX },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                uint64_t seconds = UINT64_MAX;

                assert_row((duration_parse(rows[i].text, &seconds) == 0) == (rows[i].seconds != UINT64_MAX), i,
                           rows[i].text);
                assert_row(seconds == rows[i].seconds, i, rows[i].text);
        }
}

static void test_expansion(_unused_ void **state) {
        static const struct {
                const char *text, *kept, *emptied;
        } rows[] = {
                { "$A", "1", "1" },         { "${A}", "1", "1" },
                { "%A%", "1", "1" },        { "x${A}y$A", "x1y1", "x1y1" },
                { "$U", "$U", "" },         { "${U}x", "${U}x", "x" },
                { "$$A", "$1", "$1" },      { "%%A%", "%1", "%1" },
                { "$", "$", "$" },          { "${A", "${A", "${A" },
                { "$1", "$1", "$1" },       { "%A", "%A", "%A" },
                { "100%", "100%", "100%" }, { "$B", "$A", "$A" },
                { "$A_", "$A_", "" },       { "${}", "${}", "${}" },
        };
        TEST_ARENA(arena);
        Variables variables = { .arena = &arena };

        variables_set_text(&variables, "A", "1");
        variables_set_text(&variables, "B", "$A");
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                assert_string_equal(variables_expand(&variables, rows[i].text, true), rows[i].kept);
                assert_string_equal(variables_expand(&variables, rows[i].text, false), rows[i].emptied);
        }
}

static void test_nested_expansion(_unused_ void **state) {
        TEST_ARENA(arena);
        Variables variables = { .arena = &arena }, expanded;
        const char *loop = NULL;

        variables_set_text(&variables, "C", "<$B>");
        variables_set_text(&variables, "B", "[$A]");
        variables_set_text(&variables, "A", "1");
        variables_set(&variables, &(Variable){ .key = "R", .value = "$A", .raw = true });
        variables_set(&variables, &(Variable){ .key = "F", .value = "content", .file = true });
        variables_set_text(&variables, "UsesR", "$R $F $U $$A");
        variables_set_text(&variables, "PATH", "$PATH:/x");
        assert_int_equal(variables_expand_nested(&variables, false, &expanded, &loop), 0);
        assert_string_equal(variables_get(&expanded, "C"), "<[1]>");
        assert_string_equal(variables_get(&expanded, "R"), "$A");
        assert_string_equal(variables_get(&expanded, "UsesR"), "$R $F $U $$A");
        assert_string_equal(variables_get(&expanded, "PATH"), "$PATH:/x");
        assert_int_equal(variables_expand_nested(&variables, true, &expanded, &loop), 0);
        assert_string_equal(variables_get(&expanded, "UsesR"), "$A content $U $$A");

        variables_set_text(&variables, "A", "$C");
        assert_int_equal(variables_expand_nested(&variables, false, &expanded, &loop), -ELOOP);
        assert_string_equal(loop, "C, B, A");
}

static void test_expansion_stays_small(_unused_ void **state) {
        TEST_ARENA(arena);
        Variables variables = { .arena = &arena }, expanded;
        const char *loop;

        variables_set_text(&variables, "V0", "xxxxxxxxxxxxxxxx");
        for (unsigned i = 1; i < 40; i++)
                variables_set_text(&variables, arena_printf(&arena, "V%u", i),
                                   arena_printf(&arena, "$V%u$V%u$V%u$V%u", i - 1, i - 1, i - 1, i - 1));
        assert_int_equal(variables_expand_nested(&variables, false, &expanded, &loop), 0);
        assert_true(strlen(variables_get(&expanded, "V39")) <= (size_t) 1 << 20);
}

/* As Ruby makes them: Digest::SHA2.hexdigest(name).to_i(16).to_s(36).last(6) is what names get that are not slugs. */
static void test_environment_slug(_unused_ void **state) {
        static const struct {
                const char *name, *slug;
        } rows[] = {
                { "production", "production" },
                { "review/main", "review-main-yi2y9f" },
                { "Prod", "prod-njlta9" },
                { "1", "env-1-x3mbm3" },
                { "a-", "a" },
                { "staging-1234567890123456", "staging-1234567890123456" },
                { "staging-12345678901234567", "staging-123456789-s729ne" },
                { "review/feature-with-a-long-name", "review-feature-wi-jer9zy" },
                { "/", "env-nb81kh" },
                { "gr\xc3\xbcn", "gr-n-w3agzp" },
        };

        TEST_ARENA(arena);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                assert_string_equal(environment_slug(&arena, rows[i].name), rows[i].slug);
}

/* As GitLab's own tests have it. */
static void test_environment_tier(_unused_ void **state) {
        static const struct {
                const char *tier, *names[12];
        } rows[] = {
                { "development", { "review/feature", "review/product", "DEV", "development", "trunk" } },
                { "testing",
                  { "test", "TEST", "testing-prd", "acceptance-testing", "production-test", "ACPT", "QC", "qa-env-2",
                    "integration", "quality" } },
                { "staging",
                  { "gstg", "staging", "stage", "Model", "MODL", "Pre-production", "pre", "Demo", "non-production" } },
                { "production", { "gprd", "gprd-cny", "Production/eu", "productioneu", "us-prod-east", "Live" } },
                { "other", { "canary", "other", "EXP", "", "acpet", "st" } },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                for (size_t k = 0; rows[i].names[k]; k++)
                        assert_string_equal(environment_tier(rows[i].names[k]), rows[i].tier);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_globs),
        cmocka_unit_test(test_globs_end),
        cmocka_unit_test(test_many_braces),
        cmocka_unit_test(test_wildcards),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_expansion),
        cmocka_unit_test(test_nested_expansion),
        cmocka_unit_test(test_expansion_stays_small),
        cmocka_unit_test(test_environment_slug),
        cmocka_unit_test(test_environment_tier),
};
UNIT_FILE(tests);
