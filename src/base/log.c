/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Prints our messages to stderr. Called by main.c, by the commands (cli/) and by the rooms that work for one command
 * and talk to people (exec/, doctor/, terminal/); every other layer returns an error instead. Names in messages can be
 * hostile: control characters are escaped here, so that no name can start a line of its own or control the terminal. */

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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

/* What the journal takes as priority is that of syslog(3), in a form of sd-daemon(3). */
static const struct {
        const char *prefix, *color, *priority;
} levels[] = {
        [LOG_LEVEL_ERROR] = { "ERROR: ", "\033[1;31m", "<3>" },
        [LOG_LEVEL_WARNING] = { "WARNING: ", "\033[1;33m", "<4>" },
        [LOG_LEVEL_NOTICE] = { "", NULL, "<5>" },
        [LOG_LEVEL_VERBOSE] = { "", NULL, "<6>" },
        [LOG_LEVEL_DEBUG] = { "debug: ", NULL, "<7>" },
};

static void (*message_hook)(void);

void log_set_hook(void (*hook)(void)) {
        message_hook = hook;
}

bool log_has_colors(int fd) {
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

        return (!no_color || !*no_color) && term && strcmp(term, "dumb") != 0 && isatty(fd);
}

/* systemd.exec(5): the variable has device and inode of the journal's socket. */
static bool is_journal(void) {
        unsigned long long device, inode;
        const char *stream = getenv("JOURNAL_STREAM");
        struct stat st;

        return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) >= 0 &&
               st.st_dev == device && st.st_ino == inode;
}

/* What a message begins with. */
static size_t begin_line(LogLevel level, char *ret, size_t size) {
        const char *color = levels[level].color;
        bool colored = color && log_has_colors(STDERR_FILENO);

        return (size_t) snprintf(ret, size, "%s%s%s%s%.300s", is_journal() ? levels[level].priority : "",
                                 colored ? color : "", levels[level].prefix, colored ? "\033[0m" : "", message_subject);
}

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

/* Apart from its caller, because the compiler touches the pages of these buffers, and most messages are not printed. */
_noinline_ _printf_(2, 0) static void print_line(LogLevel level, const char *format, va_list ap) {
        char message[4096], line[8192];

        if (vsnprintf(message, sizeof(message), format, ap) < 0)
                message[0] = 0;

        size_t n = begin_line(level, line, sizeof(line));
        n += escape_controls(message, line + n, sizeof(line) - n - 1);
        line[n++] = '\n';

        if (message_hook)
                message_hook();
        /* One write: lines of several processes that share the job's log do not mix. */
        (void) fd_write_all(STDERR_FILENO, line, n);
}

int log_full(LogLevel level, int error, const char *format, ...) {
        int saved_errno = errno;
        va_list ap;

        if (error < 0)
                error = -error;
        if (level > max_level)
                return -error;

        va_start(ap, format);
        errno = error; /* for %m */
        print_line(level, format, ap);
        va_end(ap);

        errno = saved_errno;
        return -error;
}

int log_problem(int error, const Problem *problem) {
        char text[PROBLEM_DESCRIPTION_MAX];

        return log_full(LOG_LEVEL_ERROR, error, "%s", problem_describe(problem, error, text));
}
