/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdarg.h>

#include "base/macro.h"

#define PROBLEM_TEXT_MAX 1024
/* What problem_describe() may need: the text, the file's path and the place in it. */
#define PROBLEM_DESCRIPTION_MAX (PROBLEM_TEXT_MAX + 4096 + 32)

/* Why something failed, in words for a person: lower layers fill it in, and the command logs it. It owns nothing, and one
 * that is all zero says nothing. */
typedef struct Problem {
        const char *file;      /* the file whose content is wrong, or NULL; the string belongs to who named the file */
        unsigned line, column; /* in that file, from 1; 0: all of it is meant */
        char text[PROBLEM_TEXT_MAX];
} Problem;

/* Replaces the text, cut off where it is longer than PROBLEM_TEXT_MAX; "%m" stands for @error (-errno). What is printed
 * may be a part of @problem, which may be NULL: then nobody wants to know. Returns @error. */
int problem_set(Problem *problem, int error, const char *format, ...) _printf_(3, 4);
int problem_vset(Problem *problem, int error, const char *format, va_list ap) _printf_(3, 0);

/* The text; what @error (-errno) means where there is none. Valid until the next call, at least. */
const char *problem_text(const Problem *problem, int error);

/* As a line: "FILE:LINE:COLUMN: TEXT", with as much of it as is known. Where there is no text, this is what @error means.
 * Returns @buffer. */
const char *problem_describe(const Problem *problem, int error, char buffer[static PROBLEM_DESCRIPTION_MAX]);
