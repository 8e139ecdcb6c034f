/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

#define LINE_BYTES_MAX 1024

/* Makes lines of what a program prints, piece by piece. Zero but for the first two fields, it is ready. */
typedef struct Lines {
        void (*on_line)(void *userdata, const char *line); /* without its end; NULL: nobody wants them */
        void *userdata;
        char text[LINE_BYTES_MAX]; /* has begun and not ended */
        size_t length;
} Lines;

/* Carriage returns end lines too: programs draw their progress with them. Empty lines are left out, and overlong ones come
 * in parts. */
void lines_feed(Lines *lines, const char *data, size_t size);

/* The output has ended: what has begun is a line. */
void lines_end(Lines *lines);
