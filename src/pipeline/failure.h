/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/pipeline.h"

/* How a try of a job ended. */
typedef struct RunEnd {
        bool success;
        /* GitLab's name of the reason: "script_failure", "job_execution_timeout", "runner_system_failure". NULL for success. */
        const char *failure;
        int exit_code; /* of the script, also for success; -1: none, because something else failed */
} RunEnd;

/* Does "retry" of @job cover this failure? PipelineJob.retries says how often to retry. */
bool failure_is_retried(const PipelineJob *job, const RunEnd *end);

/* Does "allow_failure" of @job cover this failure? */
bool failure_is_allowed(const PipelineJob *job, const RunEnd *end);
