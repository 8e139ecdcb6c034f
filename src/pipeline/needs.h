/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/pipeline.h"

/* Reads "needs" and "dependencies" of all jobs: that the jobs exist, in stages that are not later, and in no circle.
 * @needs of a job names the copies of parallel jobs afterwards; which of them are in the pipeline is not known yet. 0
 * or -EINVAL with problems noted. */
int needs_read(Pipeline *pipeline);

/* Reads the needs of the rules that decided about jobs, in place of those of the jobs. As above, without looking for
 * circles. */
int needs_read_rules(Pipeline *pipeline);

/* Finds the jobs that the needs of included jobs name. 0; or -EINVAL with a problem noted when one that is not optional
 * is not included. */
int needs_resolve(Pipeline *pipeline);
