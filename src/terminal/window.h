/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdio.h>

#include "base/macro.h"

/* The number of columns of the terminal @fd; SIZE_MAX: it is none. */
size_t window_width(int fd);

/* Prints @text and ends the line. It begins in column @column, up to which the caller has printed; a word that would go beyond
 * @width goes to a new line, in column @indent. A word that no line has room for, such as a path, stays whole. With SIZE_MAX,
 * or if hardly anything is left beside the indent, nothing is broken. */
void window_print(FILE *stream, size_t width, size_t column, size_t indent, const char *text);
