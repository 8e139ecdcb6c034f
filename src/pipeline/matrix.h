/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/pipeline.h"

/* Replaces each job with "parallel" by its copies: "job 1/3", or "job: [a, b]". 0; or -EINVAL with a problem noted when there
 * are more than PIPELINE_JOBS_MAX. */
int matrix_expand(Pipeline *pipeline);

/* Does @matrix (of "needs:parallel:matrix" in job @of) select @job, a copy made by a matrix? Returns 1 or 0; or -EINVAL
 * with a problem noted: @of has no X for a "$[[ matrix.X ]]". */
int matrix_selects(Pipeline *pipeline, const Value *matrix, const PipelineJob *job, const PipelineJob *of);
