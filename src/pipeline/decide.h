/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/pipeline.h"

/* Decides whether there is a pipeline, which jobs are in it, and how each one runs. Fills in what @pipeline and its jobs say
 * about that; notes problems. */
void decide_all(Pipeline *pipeline);
