/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/pipeline.h"

/* Shows a pipeline on standard output. All return 0 or a negative errno, logged; what they allocate is in the pipeline's
 * arena. */
int exec_show_list(Pipeline *pipeline, bool all, bool json);
int exec_show_config(Pipeline *pipeline, bool json);
int exec_show_job(Pipeline *pipeline, const char *name);
