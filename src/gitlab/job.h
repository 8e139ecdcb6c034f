/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "job/spec.h"

/* The job that this call of GitLab Runner's is for, from JOB_RESPONSE_FILE. Without that, the id is @option_id (--id, may
 * be NULL), then CUSTOM_ENV_CI_JOB_ID, and all that is known besides is the image that CUSTOM_ENV_CI_JOB_IMAGE names.
 * Returns 0; -EBADMSG for a response that is none; -EINVAL for an impossible id; -ENODATA when nothing names the job; or
 * -errno. @ret_problem gets a sentence about it. */
int gitlab_job_read(const char *runtime_dir, const char *option_id, JobSpec *ret, char ret_problem[static 512]);
