/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Passes a summary of tests from the process of a job (local/artifacts.c) to the one that shows the run
 * (exec/output.c). Both processes are this program, but the texts come from the job: they must not be able to
 * contain the characters that divide them. */

#include <inttypes.h>
#include <stdio.h>

#include "base/string.h"
#include "pipeline/junit.h"

#define FIELDS 5

/* Writes a text without the characters that divide fields and lines. */
static void write_field(FILE *file, const char *text, char end) {
        for (; text && *text; text++)
                putc(*text == '\t' || *text == '\n' ? ' ' : *text, file);
        putc(end, file);
}

int junit_format(const JunitSummary *summary, size_t size_max, char **ret) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        FILE *file = open_memstream(&text, &size);

        if (!file)
                return -ENOMEM;
        fprintf(file, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", summary->n_tests, summary->n_failed,
                summary->n_errors, summary->n_skipped);
        long whole = ftell(file);
        for (size_t i = 0; i < summary->n_failures; i++) {
                const JunitFailure *failure = summary->failures + i;

                write_field(file, failure->is_error ? "error" : "", '\t');
                write_field(file, failure->suite, '\t');
                write_field(file, failure->class, '\t');
                write_field(file, failure->name, '\t');
                write_field(file, failure->message, '\n');
                if ((size_t) ftell(file) > size_max)
                        break;
                whole = ftell(file);
        }
        bool failed = ferror(file);
        if (fclose(file) != 0 || failed || !text || whole < 0)
                return -ENOMEM;
        text[whole] = 0;
        *ret = TAKE_PTR(text);
        return 0;
}

int junit_parse(JunitSummary *summary, const char *text) {
        _cleanup_free_ char *copy = strdup(text);
        _cleanup_free_ JunitFailure *failures = calloc(JUNIT_FAILURES_MAX, sizeof(JunitFailure));
        JunitSummary found = { .failures = failures };
        char *rest = copy, *line;

        if (!copy || !failures)
                return -ENOMEM;
        line = strsep(&rest, "\n");
        if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &found.n_tests, &found.n_failed,
                   &found.n_errors, &found.n_skipped) != 4)
                return -EBADMSG;
        while ((line = strsep(&rest, "\n")) && *line && found.n_failures < JUNIT_FAILURES_MAX) {
                char *fields[FIELDS] = { 0 };

                for (size_t i = 0; i < FIELDS; i++)
                        fields[i] = strsep(&line, "\t");
                if (!fields[FIELDS - 1])
                        return -EBADMSG;
                found.failures[found.n_failures++] = (JunitFailure){ .is_error = *fields[0],
                                                                     .suite = fields[1],
                                                                     .class = fields[2],
                                                                     .name = fields[3],
                                                                     .message = fields[4] };
        }
        return junit_merge(summary, &found);
}
