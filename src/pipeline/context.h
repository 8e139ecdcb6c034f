/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/problem.h"
#include "pipeline/regex.h"
#include "pipeline/request.h"

/* What the parts of one evaluation share. */
typedef struct Context {
        Arena *arena;
        Problems problems;
        RegexCache regexes;
        const PipelineRequest *request;
        Variables variables; /* of the pipeline, without the configuration's: what includes see */
        unsigned n_includes;
} Context;

#define context_fail(context, place, ...) problem_add(&(context)->problems, (place), __VA_ARGS__)

/* Notes an unknown key of @map. @names is NULL-terminated. 0 or -EINVAL. */
int context_check_keys(Context *context, const Value *map, const char *what, const char *const names[]);

/* The list without lists in it, up to 10 levels. NULL with a problem noted when there are more. */
const Value *value_flatten(Context *context, const Value *list, const char *what);
