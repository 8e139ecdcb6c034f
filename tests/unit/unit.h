/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What every unit test includes: cmocka needs these before it. */
#include <err.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/macro.h"
#include "tree/remove.h"

/* A directory for the files of a test, removed afterwards. As setup and teardown of a test: *state is its path. */
static inline int setup_directory(void **state) {
        const char *parent = getenv("TMPDIR");
        char *path = NULL;

        if (asprintf(&path, "%s/nspawn-runner-test-XXXXXX", parent && *parent ? parent : "/tmp") < 0 || !mkdtemp(path))
                return -1;
        *state = path;
        return 0;
}

static inline int teardown_directory(void **state) {
        int r = remove_tree_at(AT_FDCWD, *state);

        free(*state);
        return r;
}

static inline const char *row_text(const char *text) {
        return text ? text : "NULL";
}

/* Which of its tests a program runs, by its arguments: --only PATTERN or --skip PATTERN; without, all. */
static inline void choose_tests(int argc, char *argv[], const struct CMUnitTest *tests, size_t n) {
        size_t found = 0;

        if (argc == 1)
                return;
        for (size_t i = 0; argc == 3 && i < n; i++)
                found += fnmatch(argv[2], tests[i].name, 0) == 0;
        if (found == 0 || found == n)
                errx(EXIT_FAILURE, "these arguments choose nothing");
        if (strcmp(argv[1], "--only") == 0)
                cmocka_set_test_filter(argv[2]);
        else if (strcmp(argv[1], "--skip") == 0)
                cmocka_set_skip_filter(argv[2]);
        else
                errx(EXIT_FAILURE, "unknown option '%s'", argv[1]);
}

/* Fails with the row's index and text, so that a table's failing row is found. */
#define assert_row(condition, row, text)                                                          \
        do {                                                                                      \
                if (!(condition))                                                                 \
                        fail_msg("row %zu (%s): %s", (size_t) (row), row_text(text), #condition); \
        } while (0)
