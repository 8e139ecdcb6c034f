/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

#define LINE_BYTES_MAX 1024

/* Splits what a program prints, piece by piece, into lines. Set the first two fields, and all others to zero. */
typedef struct Lines {
        void (*on_line)(void *userdata, const char *line); /* without its end; NULL: the lines are thrown away */
        void *userdata;
        char text[LINE_BYTES_MAX]; /* the beginning of a line that has not ended */
        size_t length;
} Lines;

/* Adds a piece. Carriage returns end lines, too: programs show their progress with them. Empty lines are left out, and longer
 * ones come in parts. */
void lines_feed(Lines *lines, const char *data, size_t size);

/* The output has ended: passes on the beginning of a line as a line. */
void lines_end(Lines *lines);
