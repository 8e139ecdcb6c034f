/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/pipeline.h"

/* Reads "needs" and "dependencies" of all jobs, and checks that the jobs exist, are in stages that are not later, and
 * form no cycle. Afterwards @needs of a job names the copies of parallel jobs; which of them are in the pipeline is not
 * known yet. 0 or -EINVAL with problems noted. */
int needs_read(Pipeline *pipeline);

/* Reads the needs of the rules that decided about jobs, which replace the jobs' own. As needs_read(), but does not look
 * for cycles. */
int needs_read_rules(Pipeline *pipeline);

/* Finds the jobs that the needs of included jobs name. 0; or -EINVAL with a problem noted: a needed job is not
 * included, and not optional. */
int needs_resolve(Pipeline *pipeline);
