/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "exec/earlier.h"
#include "exec/select.h"

/* How many pipelines may be above a child pipeline, as in GitLab. */
#define EXEC_CHILD_DEPTH_MAX 2U

/* In the process of the job at place @i of the pipeline @level, which has 'trigger': runs its child pipeline with
 * @run_pipeline, which prints, and passes on what it prints as the job's log, with EVENT_ENDED as the last on
 * @events_fd. Pipelines of other projects are only mentioned. */
void exec_child_run(const ExecRun *run, const ExecLevel *level, size_t i, int events_fd,
                    int (*run_pipeline)(const ExecRun *run));
