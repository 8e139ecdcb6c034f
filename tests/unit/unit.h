/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What every unit test includes: cmocka needs these before it. */
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

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

/* The tests of one file, which main.c runs. */
typedef struct UnitFile {
        const char *file; /* without the directory */
        const struct CMUnitTest *tests;
        size_t n_tests;
        const char *(*lacks)(void); /* what it takes to run them, if that is missing; called before all; may be NULL */
        int (*setup)(void **state), (*teardown)(void **state); /* of all of them together; may be NULL */
        struct UnitFile *next;
} UnitFile;

void unit_add(UnitFile *file);

/* Ends a file of tests: @unit_tests is an array of them; fields of UnitFile may follow. */
#define UNIT_FILE(unit_tests, ...)                                                                         \
        static UnitFile unit_file = {                                                                      \
                .file = __FILE_NAME__, .tests = unit_tests, .n_tests = ELEMENTSOF(unit_tests), __VA_ARGS__ \
        };                                                                                                 \
        __attribute__((constructor)) static void unit_add_file(void) {                                     \
                unit_add(&unit_file);                                                                      \
        }                                                                                                  \
        struct CMUnitTest /* takes the semicolon */

/* As .lacks of a file: gives the process a mount namespace of its own, out of which no mount gets. */
static inline const char *lacks_mount_namespace(void) {
        if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_PRIVATE | MS_REC, NULL) < 0)
                return "root, and a mount namespace";
        return NULL;
}

/* Fails with the row's index and text, so that a table's failing row is found. */
#define assert_row(condition, row, text)                                                          \
        do {                                                                                      \
                if (!(condition))                                                                 \
                        fail_msg("row %zu (%s): %s", (size_t) (row), row_text(text), #condition); \
        } while (0)
