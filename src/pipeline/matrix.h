/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/pipeline.h"

/* Replaces each job with "parallel" by its copies: "job 1/3", or "job: [a, b]". 0; or -EINVAL with a problem noted when there
 * are more than PIPELINE_JOBS_MAX. */
int matrix_expand(Pipeline *pipeline);

/* Whether @job, a copy made by a matrix, is one that @matrix (of "needs:parallel:matrix") selects for the copy @of. 1 or 0; or
 * -EINVAL with a problem noted for "$[[ matrix.X ]]" that @of does not have. */
int matrix_selects(Pipeline *pipeline, const Value *matrix, const PipelineJob *job, const PipelineJob *of);
