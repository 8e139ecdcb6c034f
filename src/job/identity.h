/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"
#include "gitlab/response.h"

/* Which job this call is for. */
typedef struct JobIdentity {
        char *id;          /* valid (see job_id_problem()) and the job's alone on this host */
        bool has_response; /* from JOB_RESPONSE_FILE: the job cannot have forged it */
        JobResponse response;
} JobIdentity;

void identity_done(JobIdentity *identity);
#define _cleanup_identity_ _cleanup_(identity_done)

/* Why @id cannot be a job's, or NULL: letters, digits, '-' and '.', at most 40, with a letter or digit at both ends and
 * no "..": it becomes part of paths, a unit's name and a host name. */
const char *job_id_problem(const char *id);

/* From JOB_RESPONSE_FILE; without it @option_id (--id, may be NULL), then CUSTOM_ENV_CI_JOB_ID. With a response, the id
 * is "NUMBER-HASH": two GitLab servers count their jobs alike.
 * Returns 0; -EBADMSG for a response that is none; -EINVAL for an impossible id; -ENODATA when nothing names the job; or
 * -errno. @ret_problem gets a sentence about it. */
int identity_find(const char *runtime_dir, const char *option_id, JobIdentity *ret, char ret_problem[static 512]);
