/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/problem.h"
#include "pipeline/regex.h"
#include "pipeline/request.h"

/* What the parts of one evaluation share. */
typedef struct Context {
        Arena *arena;
        Problems problems;
        Problems warnings; /* of what is right, and has no effect: they keep nothing from running */
        RegexCache regexes;
        const PipelineRequest *request;
        Variables variables; /* of the pipeline, without those of the configuration: what includes see */
        unsigned n_includes;
        unsigned n_left_out; /* includes whose rules do not let them in */
} Context;

#define context_fail(context, place, ...) problem_add(&(context)->problems, (place), __VA_ARGS__)
#define context_warn(context, place, ...) (void) problem_add(&(context)->warnings, (place), __VA_ARGS__)

/* What to say of files that are not at hand, and of those that could not be fetched: formats for the name, for why not, and for
 * the name of the root. */
#define ROOT_MISSING \
        "'%s' is not here; fetch it with --fetch, or give a directory that stands in for it: --include-root %s=DIR"
#define ROOT_NOT_FETCHED "cannot fetch '%s': %s; or give a directory that stands in for it: --include-root %s=DIR"

/* Notes a problem for each key of @map that is not in @names (NULL-terminated). @what is how messages call the map. 0
 * or -EINVAL. */
int context_check_keys(Context *context, const Value *map, const char *what, const char *const names[]);

/* Returns @list with the items of inner lists in their place, up to 10 levels; NULL with a problem noted: there are
 * more levels. */
const Value *value_flatten(Context *context, const Value *list, const char *what);
