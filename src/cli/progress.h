/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"

/* Progress on stderr while an image is made: on a terminal one line that is drawn again and again, elsewhere a line
 * for each step. The last lines of programs are kept, for a failure. */

#define PROGRESS_LINES 20
#define PROGRESS_LINE_BYTES_MAX 1024
#define PROGRESS_STEP_BYTES_MAX 120

typedef struct Progress {
        bool terminal;
        bool names_packages; /* the builder prints a step for each package */
        uint64_t begin_usec, drawn_usec;
        char step[PROGRESS_STEP_BYTES_MAX];
        unsigned verbs_seen;
        char lines[PROGRESS_LINES][PROGRESS_LINE_BYTES_MAX]; /* a ring */
        size_t n_lines;
} Progress;

/* Begins now, on whatever stderr is. */
void progress_init(Progress *progress);

/* The callbacks of a Listener (base/listener.h); @userdata is the Progress. */
void progress_step(void *userdata, const char *step);
void progress_line(void *userdata, const char *line);
void progress_output(void *userdata, const char *line);
void progress_tick(void *userdata);

/* All of them; the work stops when @cancel_fd becomes readable. */
Listener progress_listener(Progress *progress, int cancel_fd);

/* Removes the drawn line from the terminal. Call it before anything else is written there. */
void progress_clear(const Progress *progress);

/* Logs the last lines that programs printed, unless they were shown already. */
void progress_log_last_lines(const Progress *progress);

/* Whole seconds since the beginning. */
unsigned long long progress_seconds(const Progress *progress);
