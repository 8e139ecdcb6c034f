/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Shows on stderr how far the making of an image is: a line drawn again and again on a terminal, lines elsewhere. Used
 * by what makes images, by chroot-pull and by push-common.c. What programs print is not trusted to leave the terminal
 * alone. */

#include "cli/progress.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/string.h"
#include "source/builder.h"
#include "terminal/window.h"

void progress_init(Progress *progress) {
        *progress = (Progress){ .terminal = isatty(STDERR_FILENO) && log_get_level() >= LOG_LEVEL_NOTICE,
                                .begin_usec = clock_now_usec() };
}

Listener progress_listener(Progress *progress, int cancel_fd) {
        return (Listener){
                .cancel_fd = cancel_fd,
                .on_step = progress_step,
                .on_line = progress_line,
                .on_output = progress_output,
                .on_tick = progress_tick,
                .userdata = progress,
        };
}

unsigned long long progress_seconds(const Progress *progress) {
        return (unsigned long long) ((clock_now_usec() - progress->begin_usec) / USEC_PER_SEC);
}

void progress_clear(const Progress *progress) {
        if (progress->terminal)
                (void) fd_write_all(STDERR_FILENO, "\r\033[K", 4);
}

static void draw(Progress *progress) {
        char line[512];
        unsigned long long seconds = progress_seconds(progress);
        int columns = (int) MIN(window_width(STDERR_FILENO), (size_t) 200);

        /* A line that wraps could not be drawn over. */
        int n = snprintf(line, sizeof(line), "[%llu:%02llu] %s", seconds / 60, seconds % 60, progress->step);
        if (n >= columns)
                line[columns - 1] = 0;
        progress_clear(progress);
        (void) fd_write_all(STDERR_FILENO, line, strlen(line));
        progress->drawn_usec = clock_now_usec();
}

void progress_tick(void *userdata) {
        Progress *progress = userdata;

        if (progress->terminal && clock_now_usec() - progress->drawn_usec >= USEC_PER_SEC)
                draw(progress);
}

/* Copies without what would move a terminal's cursor. */
static void copy_printable(char *to, size_t size, const char *from) {
        size_t n = 0;

        for (; *from && n + 1 < size; from++)
                to[n++] = (unsigned char) *from < 0x20 || *from == 0x7f ? ' ' : *from;
        to[n] = 0;
}

/* Where each package is a step, a log has only what is done with the packages: "Retrieving" once, and of "Unpacking the
 * base system", "Unpacking tar" and so on the first. */
static bool worth_a_line(Progress *progress, const char *step) {
        static const char *const verbs[] = { "Retrieving ", "Validating ", "Extracting " };

        if (!progress->names_packages)
                return true;
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (startswith(step, verbs[i])) {
                        bool seen = progress->verbs_seen & 1U << i;
                        progress->verbs_seen |= 1U << i;
                        return !seen;
                }
        const char *space = strchr(step, ' ');
        return !space || strchr(space + 1, ' ');
}

static void show(Progress *progress, const char *text, bool log) {
        copy_printable(progress->step, sizeof(progress->step), text);
        if (progress->terminal)
                draw(progress);
        else if (log && log_get_level() < LOG_LEVEL_VERBOSE)
                log_notice("%s", progress->step);
}

void progress_step(void *userdata, const char *step) {
        Progress *progress = userdata;

        progress_clear(progress);
        progress->n_lines = 0; /* what was printed until now went well */
        copy_printable(progress->step, sizeof(progress->step), step);
        log_notice("%s", progress->step);
}

void progress_line(void *userdata, const char *line) {
        Progress *progress = userdata;
        const char *step = builder_step(line);

        /* eatmydata reaches only what runs outside of the new tree; the rest says that it cannot have it. */
        if (strstr(line, "libeatmydata.so") && strstr(line, "cannot be preloaded"))
                return;

        copy_printable(progress->lines[progress->n_lines++ % PROGRESS_LINES], PROGRESS_LINE_BYTES_MAX, line);
        if (log_get_level() >= LOG_LEVEL_VERBOSE) {
                progress_clear(progress);
                log_verbose("%s", line);
        }
        if (step)
                show(progress, step, worth_a_line(progress, step));
}

void progress_output(void *userdata, const char *line) {
        Progress *progress = userdata;

        progress_clear(progress);
        log_notice("%s", line);
}

void progress_log_last_lines(const Progress *progress) {
        size_t n = MIN(progress->n_lines, (size_t) PROGRESS_LINES);

        if (n == 0 || log_get_level() >= LOG_LEVEL_VERBOSE)
                return;
        log_notice("The last lines that it printed:");
        for (size_t i = progress->n_lines - n; i < progress->n_lines; i++)
                log_notice("  %s", progress->lines[i % PROGRESS_LINES]);
}
