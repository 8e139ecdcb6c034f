/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Prints our messages to stderr. Called by main.c, by the commands and by `supervise`; every other layer returns an
 * error instead. Names in messages can be hostile: control characters are escaped here, so that no name can start a
 * line of its own or control the terminal. */

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"

static LogLevel max_level = LOG_LEVEL_NOTICE;

static const char *message_subject = "";

const char *log_set_subject(const char *subject) {
        const char *before = message_subject;

        message_subject = subject ? subject : "";
        return before;
}

void log_set_level(LogLevel level) {
        max_level = level;
}

LogLevel log_get_level(void) {
        return max_level;
}

static const char *const prefixes[] = {
        [LOG_LEVEL_ERROR] = "ERROR: ", [LOG_LEVEL_WARNING] = "WARNING: ", [LOG_LEVEL_NOTICE] = "",
        [LOG_LEVEL_VERBOSE] = "",      [LOG_LEVEL_DEBUG] = "debug: ",
};

/* Copies @text to @ret with everything that could move a terminal's cursor or start a line made visible; tabs stay. The
 * control characters of ISO 8859, two bytes in UTF-8, include one that terminals take for ESC [. */
static size_t escape_controls(const char *text, char *ret, size_t size) {
        size_t n = 0;

        for (const unsigned char *p = (const unsigned char *) text; *p && n + 5 < size; p++) {
                bool begins_c1 = *p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;
                bool ends_c1 = p > (const unsigned char *) text && p[-1] == 0xc2 && *p >= 0x80 && *p < 0xa0;

                if ((*p < 0x20 && *p != '\t') || *p == 0x7f || begins_c1 || ends_c1)
                        n += (size_t) snprintf(ret + n, size - n, "\\x%02x", *p);
                else
                        ret[n++] = (char) *p;
        }
        ret[n] = 0;
        return n;
}

int log_full(LogLevel level, int error, const char *format, ...) {
        int saved_errno = errno;
        char message[4096], line[8192];

        if (error < 0)
                error = -error;
        if (level > max_level)
                return -error;

        va_list ap;
        va_start(ap, format);
        errno = error; /* for %m */
        if (vsnprintf(message, sizeof(message), format, ap) < 0)
                message[0] = 0;
        va_end(ap);

        size_t n = (size_t) snprintf(line, sizeof(line), "%s%.300s", prefixes[level], message_subject);
        n += escape_controls(message, line + n, sizeof(line) - n - 1);
        line[n++] = '\n';

        /* One write: lines of several processes that share the job's log do not mix. */
        (void) fd_write_all(STDERR_FILENO, line, n);

        errno = saved_errno;
        return -error;
}

int log_problem(int error, const Problem *problem) {
        char text[PROBLEM_DESCRIPTION_MAX];

        return log_full(LOG_LEVEL_ERROR, error, "%s", problem_describe(problem, error, text));
}
