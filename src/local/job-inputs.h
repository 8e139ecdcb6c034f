/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/value.h"

/* Returns @config, the keywords of a job, with what its inputs say in place of "${{ job.inputs.NAME }}" in scripts, image,
 * services, cache and artifacts; all of it in @arena. A job without inputs is left as it is: there, such text means nothing.
 * *reterr_problem is set, for the user, if there is anything else in "${{ }}"; else it stays as it is. */
const Value *local_job_inputs(Arena *arena, const Value *config, const char **reterr_problem);
