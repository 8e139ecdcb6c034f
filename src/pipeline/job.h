/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/pipeline.h"

/* Reads the top level of the merged configuration into @pipeline: stages, defaults, variables, and its jobs with their
 * keywords checked. Copies of parallel jobs are made by matrix.c, needs are resolved by needs.c. 0 or -EINVAL with problems
 * noted. */
int jobs_read(Pipeline *pipeline);

/* Adds the variables of @map, a "variables:" mapping that was checked, to @variables. */
void job_variables_add(Arena *arena, const Value *map, Variables *variables);

/* Does a job with configuration @config inherit @name? @what is "variables" (@name is a variable) or "default" (a
 * keyword). */
bool job_inherits(const Value *config, const char *what, const char *name);
