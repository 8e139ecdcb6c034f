/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Lines that jobs print: text and sequences for a terminal. Only colours and the like may reach a terminal, because
 * other sequences could move the cursor, set titles, or make the terminal answer. */
typedef struct AnsiPart {
        const char *text;
        size_t size;
        bool is_style; /* "ESC [ numbers m", else text without control characters other than tabs */
} AnsiPart;

/* Returns where the part of @line begins that a terminal shows in the end: after the last carriage return that is
 * followed by something. */
const char *ansi_begin(const char *line);

/* Reads the next part at *line, and moves *line behind it. Anything that is neither text nor a style is left out.
 * False: there is no more. */
bool ansi_next(const char **line, AnsiPart *ret);

/* The text alone, without styles and control characters, tabs included. To be freed; NULL: no memory. */
char *ansi_plain(const char *text);
