/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/value.h"

/* One thing that is wrong with a configuration: what, where, and what to write instead. Checks note problems and go on,
 * so that one evaluation shows all of them. */
typedef struct PipelineProblem {
        Place place;
        const char *text;
} PipelineProblem;

#define PIPELINE_PROBLEMS_MAX 50

typedef struct Problems {
        Arena *arena;
        PipelineProblem *items;
        size_t n;
        size_t n_left_out; /* beyond PIPELINE_PROBLEMS_MAX */
} Problems;

/* Notes a problem. Always returns -EINVAL. The same words for the same place are noted once. */
int problem_add(Problems *problems, Place place, const char *format, ...) _printf_(3, 4);

/* Returns ", did you mean 'X'?" for the name in @names (NULL-terminated) that is nearest to @typed; "": none is
 * near. */
const char *nearest_hint(Arena *arena, const char *typed, const char *const names[]);
/* The same for the keys of @map; keys that begin with a dot count only if @typed does, too. */
const char *nearest_key_hint(Arena *arena, const char *typed, const Value *map);
