/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/problem.h"

/* A part of a file between lines of "---". */
typedef struct Document {
        const char *text;
        size_t size;
        unsigned line, column; /* where it begins, from 1 */
} Document;

/* The parts of a file: the content and, if there is one, a header with "spec:" before it. */
typedef struct Documents {
        const char *file;
        const Value *header; /* a mapping, or NULL */
        Document content;
} Documents;

/* Splits @text as GitLab does. 0 or -EINVAL with problems noted. */
int documents_split(Problems *problems, const char *file, const char *text, size_t size, Documents *ret);
