/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/problem.h"
#include "base/string.h"

static void test_describe(_unused_ void **state) {
        static const struct {
                Problem problem;
                const char *line;
        } table[] = {
                { { 0 }, "No such file or directory" },
                { { .text = "it is broken" }, "it is broken" },
                { { .line = 3, .column = 4, .text = "it is broken" }, "it is broken" },
                { { .file = "/f" }, "/f: No such file or directory" },
                { { .file = "/f", .text = "it is broken" }, "/f: it is broken" },
                { { .file = "/f", .line = 3, .column = 4, .text = "it is broken" }, "/f:3:4: it is broken" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char line[PROBLEM_DESCRIPTION_MAX];

                assert_row(streq(problem_describe(&table[i].problem, -ENOENT, line), table[i].line), i, line);
        }
}

static void test_set(_unused_ void **state) {
        Problem problem = { .file = "/f", .line = 3, .column = 4 };

        assert_int_equal(problem_set(&problem, -EINVAL, "'%s' is wrong: %m", "x"), -EINVAL);
        assert_string_equal(problem.text, "'x' is wrong: Invalid argument");
        /* Its own text may be part of the new one, and the place stays. */
        assert_int_equal(problem_set(&problem, -EIO, "image 'y': %s", problem.text), -EIO);
        assert_string_equal(problem.text, "image 'y': 'x' is wrong: Invalid argument");
        assert_string_equal(problem.file, "/f");
        assert_int_equal(problem.line, 3);
        assert_int_equal(problem.column, 4);
        /* Positive outcomes are passed on, too. */
        assert_int_equal(problem_set(&problem, 2, "refused"), 2);
        assert_string_equal(problem.text, "refused");
        assert_int_equal(problem_set(NULL, -EIO, "nobody wants to know"), -EIO);
}

static void test_long_text(_unused_ void **state) {
        char longer[2 * PROBLEM_TEXT_MAX];
        Problem problem = { 0 };

        memset(longer, 'a', sizeof(longer) - 1);
        longer[sizeof(longer) - 1] = 0;
        assert_int_equal(problem_set(&problem, -EINVAL, "%s", longer), -EINVAL);
        assert_int_equal(strlen(problem.text), PROBLEM_TEXT_MAX - 1);
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_long_text),
};
UNIT_FILE(tests);
