/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "job/spec.h"

/* Finds out which job GitLab Runner called us for, from JOB_RESPONSE_FILE. Without that file, the id is @option_id
 * (--id, may be NULL), or else CUSTOM_ENV_CI_JOB_ID, and only the image is also known, from CUSTOM_ENV_CI_JOB_IMAGE. 0;
 * -EBADMSG: the response is not a job; -EINVAL: no job can have that id; -ENODATA: nothing names the job; or another
 * -errno. On failure @reterr_problem gets a sentence. */
int gitlab_job_read(const char *runtime_dir, const char *option_id, JobSpec *ret, Problem *reterr_problem);
