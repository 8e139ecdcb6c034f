/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Holds why something failed until the command says it. Lower layers fill it in wherever an errno alone would not
 * tell a person what to do; only commands read it. It prints nothing and allocates nothing, so that it can always be
 * filled in. */

#include "base/problem.h"

#include <stdio.h>
#include <string.h>

int problem_vset(Problem *problem, int error, const char *format, va_list ap) {
        char text[PROBLEM_TEXT_MAX];

        if (!problem)
                return error;
        errno = -error; /* for %m */
        if (vsnprintf(text, sizeof(text), format, ap) < 0)
                text[0] = 0;
        memcpy(problem->text, text, strlen(text) + 1);
        return error;
}

int problem_set(Problem *problem, int error, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void) problem_vset(problem, error, format, ap);
        va_end(ap);
        return error;
}

const char *problem_text(const Problem *problem, int error) {
        return problem->text[0] ? problem->text : strerror(-error);
}

const char *problem_describe(const Problem *problem, int error, char buffer[static PROBLEM_DESCRIPTION_MAX]) {
        const char *text = problem_text(problem, error);

        if (!problem->file)
                snprintf(buffer, PROBLEM_DESCRIPTION_MAX, "%s", text);
        else if (problem->line == 0)
                snprintf(buffer, PROBLEM_DESCRIPTION_MAX, "%s: %s", problem->file, text);
        else
                snprintf(buffer, PROBLEM_DESCRIPTION_MAX, "%s:%u:%u: %s", problem->file, problem->line, problem->column,
                         text);
        return buffer;
}
