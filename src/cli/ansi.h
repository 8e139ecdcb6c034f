/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Lines that jobs print: text with sequences for a terminal. Only colours and the like may reach one, because others could
 * move the cursor, set titles, or make the terminal answer. */
typedef struct AnsiPart {
        const char *text;
        size_t size;
        bool is_style; /* "ESC [ numbers m", else text without control characters other than tabs */
} AnsiPart;

/* Where what a terminal would show in the end of @line begins: after the last carriage return with something behind it. */
const char *ansi_begin(const char *line);

/* The next part at *line, which is moved behind it; false: there is none. What is neither is left out. */
bool ansi_next(const char **line, AnsiPart *ret);

/* The text alone, without styles and control characters, tabs included. To be freed; NULL: no memory. */
char *ansi_plain(const char *text);
