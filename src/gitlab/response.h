/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "job/spec.h"

/* The job as GitLab sent it (JOB_RESPONSE_FILE): the only statement about a job that the job itself cannot forge. The fields
 * are those of gitlab-runner's common/spec/job.go. Only the id must be there. A field of another type than expected counts
 * as missing; for the image it is an error. */

/* Reads the file @path into all fields of @ret but its id. 0; -EBADMSG: it is not a job; or another -errno. On failure
 * @ret is untouched, and @reterr_problem has the reason, which quotes nothing of the file. */
int response_read(const char *path, JobSpec *ret, Problem *reterr_problem);
/* The same from @size bytes of memory. */
int response_parse(const char *data, size_t size, JobSpec *ret, Problem *reterr_problem);
