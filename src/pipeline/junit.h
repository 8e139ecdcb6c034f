/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/variables.h"

/* Reports of tests in JUnit's XML (artifacts:reports:junit): how many there are, and which failed. Read as GitLab reads them:
 * test cases directly in "testsuite" or "testsuites", nested or not; "failure" before "error" before "skipped".
 * Source: GitLab's Gitlab::Ci::Parsers::Test::Junit. */

/* How many failed tests are kept by name; all are counted. */
#define JUNIT_FAILURES_MAX 200
/* Longer texts are cut. */
#define JUNIT_TEXT_BYTES_MAX 300

/* What a job wrote: texts may contain anything but NUL. The strings may be NULL. */
typedef struct JunitFailure {
        char *suite, *class, *name;
        char *message; /* the first line of what the test said */
        bool is_error; /* the test could not be carried out */
} JunitFailure;

typedef struct JunitSummary {
        uint64_t n_tests, n_failed, n_errors, n_skipped;
        JunitFailure *failures;
        size_t n_failures;
        const Variables *masked; /* for junit_add(): no text may show the values of those that are masked; or NULL */
} JunitSummary;

void junit_done(JunitSummary *summary);

/* Adds the tests of a report, @size bytes at @data. 0; -EBADMSG with what is wrong in *reterr_problem ("line 3:
 * mismatched tag"), to be freed; -ENOENT: libexpat is not installed; or -ENOMEM. After a failure nothing was added. */
int junit_add(JunitSummary *summary, const char *data, size_t size, char **reterr_problem);

/* Adds the counts and failures of another summary. 0 or -ENOMEM. */
int junit_merge(JunitSummary *summary, const JunitSummary *other);

/* Formats the summary as text of at most @size_max bytes, for another process of this program: the counts and as many
 * failures as fit. *ret is to be freed. 0 or -ENOMEM. */
int junit_format(const JunitSummary *summary, size_t size_max, char **ret);
/* Adds what junit_format() wrote. 0, -EBADMSG or -ENOMEM. */
int junit_parse(JunitSummary *summary, const char *text);
