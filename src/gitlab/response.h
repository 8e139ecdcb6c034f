/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "job/spec.h"

/* The job as GitLab sent it (JOB_RESPONSE_FILE): the only word about a job that the job itself cannot forge. The fields are
 * those of gitlab-runner's common/spec/job.go. Only the id must be there; what is of another type than it should be
 * counts as missing, but for the image. */

/* Reads the file: all of @ret but its id. 0; -ENOENT and other -errno from reading it; -EBADMSG when it is not a job, with
 * a reason in @ret_problem (256 bytes) that quotes nothing of it; or -ENOMEM. @ret is untouched on failure. */
int response_read(const char *path, JobSpec *ret, char ret_problem[static 256]);
/* The same from memory. */
int response_parse(const char *data, size_t size, JobSpec *ret, char ret_problem[static 256]);
