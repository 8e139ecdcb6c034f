/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reports of jobs: variables in dotenv files, and tests in JUnit's XML. */

#include "pipeline.h"
#include "pipeline/dotenv.h"
#include "pipeline/junit.h"
#include "pipeline/mask.h"

static void test_dotenv(_unused_ void **state) {
        static const struct {
                const char *text, *result; /* "NAME=VALUE;" of each, or what is wrong after "!" */
        } rows[] = {
                { "", "" },
                { "A=1", "A=1;" },
                { "A=1\nB=2\n", "A=1;B=2;" },
                { "\xef\xbb\xbf"
                  "A=1\r\n",
                  "A=1;" },
                { " A \t=  x y \n", "A=x y;" },
                { "A=\"1\"\nB='2'", "A=\"1\";B='2';" },
                { "A=b=c=", "A=b=c=;" },
                { "A=", "A=;" },
                { "A=1 # no comment", "A=1 # no comment;" },
                { "A=$B", "A=$B;" },
                { "A=1\nB=2\nA=3", "A=3;B=2;" },
                { "_0=ä", "_0=ä;" },
                { "A=1\n\nB=2", "!line 2 is not NAME=VALUE" },
                { "# a comment", "!line 1 is not NAME=VALUE" },
                { "A=1\nmore of it", "!line 2 is not NAME=VALUE" },
                { "export A=1",
                  "!the name in line 1 has something other than letters, digits and '_', or is not 1 to 255 "
                  "characters long" },
                { "=1", "!the name in line 1 has something other than letters, digits and '_', or is not 1 to 255 "
                        "characters long" },
        };

        TEST_ARENA(arena);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Variables variables = { .arena = &arena };
                Text text = { .arena = &arena };
                const char *problem = NULL;

                int r = dotenv_read(rows[i].text, strlen(rows[i].text), &variables, &problem);
                for (size_t k = 0; r == 0 && k < variables.n; k++)
                        text_printf(&text, "%s=%s;", variables.items[k].key, variables.items[k].value);
                if (r < 0)
                        text_printf(&text, "!%s", problem);
                assert_row(streq(text_get(&text), rows[i].result), i, text_get(&text));
        }
}

static void test_dotenv_limits(_unused_ void **state) {
        TEST_ARENA(arena);
        Variables variables = { .arena = &arena };
        const char *problem = NULL;
        char large[DOTENV_BYTES_MAX];

        memset(large, 'x', sizeof(large));
        large[1] = '=';
        assert_int_equal(dotenv_read(large, sizeof(large), &variables, &problem), -EINVAL);
        assert_string_equal(problem, "the file is not smaller than 5120 bytes");
        assert_int_equal(dotenv_read(large, sizeof(large) - 1, &variables, &problem), 0);
        /* Those of other files count, equal names do not. */
        for (unsigned i = 1; i < DOTENV_VARIABLES_MAX; i++) {
                const char *line = arena_printf(&arena, "A%u=1\nx=2", i);

                assert_int_equal(dotenv_read(line, strlen(line), &variables, &problem), 0);
        }
        assert_int_equal(dotenv_read("B=1", 3, &variables, &problem), -EINVAL);
        assert_string_equal(problem, "there are more than 20 variables, counted to line 1");
        assert_int_equal(dotenv_read("A=a\0b", 5, &variables, &problem), -EINVAL);
        assert_string_equal(problem, "the value in line 1 has a NUL byte");
}

/* "TESTS/FAILED/ERRORS/SKIPPED" and of each failure "suite|class|name|message", or what is wrong after "!". */
static char *summarize(const char *xml) {
        JunitSummary summary = { 0 };
        _cleanup_free_ char *problem = NULL;
        char *text = NULL;

        int r = junit_add(&summary, xml, strlen(xml), &problem);
        if (r == -EBADMSG)
                assert_true(asprintf(&text, "!%s", problem) > 0);
        else {
                assert_int_equal(r, 0);
                assert_true(asprintf(&text, "%u/%u/%u/%u", (unsigned) summary.n_tests, (unsigned) summary.n_failed,
                                     (unsigned) summary.n_errors, (unsigned) summary.n_skipped) > 0);
        }
        for (size_t i = 0; r == 0 && i < summary.n_failures; i++) {
                const JunitFailure *failure = summary.failures + i;
                _cleanup_free_ char *before = text;

                assert_true(asprintf(&text, "%s %s|%s|%s|%s%s", before, failure->suite ? failure->suite : "",
                                     failure->class ? failure->class : "", failure->name ? failure->name : "",
                                     failure->message ? failure->message : "", failure->is_error ? "|error" : "") > 0);
        }
        junit_done(&summary);
        return text;
}

static void test_junit(_unused_ void **state) {
        static const struct {
                const char *xml, *result;
        } rows[] = {
                { "<testsuite/>", "0/0/0/0" },
                { "<testsuites><testsuite name='s'><testcase name='a'/></testsuite></testsuites>", "1/0/0/0" },
                { "<testsuites><testcase name='a'/></testsuites>", "1/0/0/0" },
                { "<testcase name='a'/>", "0/0/0/0" },
                { "<testsuite name='s'><testcase classname='c' name='a'><failure message='m'>long\ntext</failure>"
                  "</testcase></testsuite>",
                  "1/1/0/0 s|c|a|m" },
                { "<testsuite name='s'><testcase name='a'><failure>\n  first\nsecond</failure></testcase></testsuite>",
                  "1/1/0/0 s||a|first" },
                { "<testsuite><testcase name='a'><error><![CDATA[x < y]]></error></testcase></testsuite>",
                  "1/0/1/0 ||a|x < y|error" },
                { "<testsuite><testcase name='a'><skipped/></testcase><testcase/></testsuite>", "2/0/0/1" },
                { "<testsuite><testcase name='a'><skipped/><error message='e'/><failure message='f'/><error message='g'/>"
                  "</testcase></testsuite>",
                  "1/1/0/0 ||a|f" },
                { "<testsuite name='o'><testsuite name='i'><testcase name='a'><failure/></testcase></testsuite>"
                  "<testcase name='b'><failure/></testcase></testsuite>",
                  "2/2/0/0 i||a| o||b|" },
                { "<testsuite><properties><testcase name='a'/></properties><testcase><system-out><failure/></system-out>"
                  "</testcase></testsuite>",
                  "1/0/0/0" },
                { "<testsuite><testcase name='&lt;b&gt;'><failure message='&amp;'/></testcase></testsuite>",
                  "1/1/0/0 ||<b>|&" },
                { "<testsuites><testsuite>\n<testcase></testsuite>", "!line 2: mismatched tag" },
                { "<testsuite>", "!line 1: no element found" },
                { "", "!line 1: no element found" },
                { "\x01", "!line 1: not well-formed (invalid token)" },
                { "<!DOCTYPE t [\n<!ENTITY a 'b'>\n]><testsuite>&a;</testsuite>",
                  "!line 2: it declares entities, which are not read" },
                { "<!DOCTYPE t [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><testsuite>&a;</testsuite>",
                  "!line 1: it declares entities, which are not read" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *result = summarize(rows[i].xml);

                assert_row(streq(result, rows[i].result), i, result);
        }
}

static void test_junit_limits(_unused_ void **state) {
        JunitSummary summary = { 0 };
        _cleanup_free_ char *xml = NULL, *problem = NULL;
        size_t size = 0;
        FILE *file = open_memstream(&xml, &size);

        assert_non_null(file);
        /* 150 two-byte letters are the 300 bytes that are kept, and one more byte before them leaves half of one. */
        fputs("<testsuite>", file);
        for (unsigned i = 0; i < JUNIT_FAILURES_MAX + 5; i++) {
                fprintf(file, "<testcase name='x");
                for (unsigned k = 0; k < 200; k++)
                        fputs("ä", file);
                fputs("'><failure/></testcase>", file);
        }
        fputs("</testsuite>", file);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(junit_add(&summary, xml, size, &problem), 0);
        assert_int_equal(summary.n_failed, JUNIT_FAILURES_MAX + 5);
        assert_int_equal(summary.n_failures, JUNIT_FAILURES_MAX);
        assert_int_equal(strlen(summary.failures[0].name), JUNIT_TEXT_BYTES_MAX - 1);
        /* A second file adds; one that is broken adds nothing. */
        assert_int_equal(junit_add(&summary, xml, size, &problem), 0);
        assert_int_equal(junit_add(&summary, xml, size - 1, &problem), -EBADMSG);
        assert_int_equal(summary.n_tests, 2 * (JUNIT_FAILURES_MAX + 5));
        junit_done(&summary);

        char deep[2001];
        size = 0;
        while (size + strlen("<testsuite>") < sizeof(deep))
                size += (size_t) sprintf(deep + size, "<testsuite>");
        free(TAKE_PTR(problem));
        assert_int_equal(junit_add(&summary, deep, size, &problem), -EBADMSG);
        assert_string_equal(problem, "line 1: its suites are nested too deeply");
        junit_done(&summary);
}

static void test_mask(_unused_ void **state) {
        static const struct {
                const char *text, *result;
        } rows[] = {
                { "", "" },
                { "nothing of it", "nothing of it" },
                { "a word, wordword", "a [MASKED], [MASKED][MASKED]" },
                { "word and words", "[MASKED] and [MASKED]" }, /* not the rest of the longer one */
                { "<first line> third", "<[MASKED]> [MASKED]" },
                { "x\nfirst line\r\nthird", "x\n[MASKED]\r\n[MASKED]" },
                { "  a  b  ", "  a  b  " }, /* blanks are no secret */
                { "{}MASKED", "{}[MASKED]" } /* one brace of several lines is no secret */,
                { "open", "open" },
                { "q7 and q8", "[MASKED] and q8" }, /* short, but all of it */
        };

        TEST_ARENA(arena);
        Variables variables = { .arena = &arena };
        static const Variable list[] = { { .key = "A", .value = "word", .masked = true },
                                         { .key = "B", .value = "words", .masked = true },
                                         { .key = "C", .value = "  first line\r\n\n   \n\tthird\n{\n", .masked = true },
                                         { .key = "D", .value = "MASKED", .masked = true },
                                         { .key = "E", .value = "", .masked = true },
                                         { .key = "G", .value = "\n q7\n", .masked = true },
                                         { .key = "F", .value = "open" } };
        for (size_t i = 0; i < ELEMENTSOF(list); i++)
                variables_set(&variables, list + i);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *result = NULL;

                assert_int_equal(mask_text(&variables, rows[i].text, &result), 0);
                assert_row(streq(result, rows[i].result), i, result);
        }
}

/* No text of a report shows a secret, and none shows the part of one that is left before the limit. */
static void test_junit_masked(_unused_ void **state) {
        static const Variable secret = { .key = "S", .value = "top-secret", .masked = true };
        static const char xml[] =
                "<testsuite name='s-top-secret'><testcase classname='c-top-secret' name='n-top-secret'>"
                "<failure message='%0297dtop-secret'/></testcase><testcase name='x'><error>\n"
                "a top-secret one</error></testcase></testsuite>";
        _cleanup_free_ char *problem = NULL, *text = NULL, *expected = NULL;

        TEST_ARENA(arena);
        Variables variables = { .arena = &arena };
        variables_set(&variables, &secret);
        JunitSummary summary = { .masked = &variables };
        const char *report = arena_printf(&arena, xml, 0);
        assert_int_equal(junit_add(&summary, report, strlen(report), &problem), 0);
        assert_int_equal(junit_format(&summary, 2000, &text), 0);
        assert_int_equal(string_printf(&expected,
                                       "2 1 1 0\n\ts-[MASKED]\tc-[MASKED]\tn-[MASKED]\t%0297d[MA\n"
                                       "error\ts-[MASKED]\t\tx\ta [MASKED] one\n",
                                       0),
                         0);
        assert_string_equal(text, expected);
        junit_done(&summary);
}

/* From one process to another, as text. */
static void test_junit_text(_unused_ void **state) {
        static const char xml[] =
                "<testsuite name='s'><testcase classname='c' name='a&#9;b'><failure message='m'/></testcase>"
                "<testcase name='e'><error/></testcase><testcase><skipped/></testcase></testsuite>";
        JunitSummary summary = { 0 }, copy = { 0 };
        _cleanup_free_ char *text = NULL, *problem = NULL, *less = NULL;

        assert_int_equal(junit_add(&summary, xml, strlen(xml), &problem), 0);
        assert_int_equal(junit_format(&summary, 1000, &text), 0);
        assert_string_equal(text, "3 1 1 1\n\ts\tc\ta b\tm\nerror\ts\t\te\t\n");
        assert_int_equal(junit_format(&summary, 20, &less), 0);
        assert_string_equal(less, "3 1 1 1\n\ts\tc\ta b\tm\n");
        assert_int_equal(junit_parse(&copy, text), 0);
        assert_int_equal(junit_parse(&copy, less), 0);
        assert_int_equal(copy.n_tests, 6);
        assert_int_equal(copy.n_failures, 3);
        assert_string_equal(copy.failures[0].name, "a b");
        assert_null(copy.failures[1].class);
        assert_true(copy.failures[1].is_error);
        assert_int_equal(junit_parse(&copy, "1 2 3"), -EBADMSG);
        assert_int_equal(junit_parse(&copy, "1 1 0 0\na\tb\n"), -EBADMSG);
        assert_int_equal(copy.n_tests, 6);
        junit_done(&summary);
        junit_done(&copy);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dotenv),       cmocka_unit_test(test_dotenv_limits), cmocka_unit_test(test_junit),
        cmocka_unit_test(test_junit_limits), cmocka_unit_test(test_mask),          cmocka_unit_test(test_junit_masked),
        cmocka_unit_test(test_junit_text),
};
UNIT_FILE(tests);
