/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/pipeline.h"

/* Decides whether there is a pipeline, which jobs are in it, and how each one runs. Fills in the fields of @pipeline
 * and its jobs for this, and notes problems in the context. */
void decide_all(Pipeline *pipeline);
