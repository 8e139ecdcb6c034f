/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads what GitLab Runner says in environment variables. Only gitlab/job.c calls this. What begins with CUSTOM_ENV_
 * is the job's own choice and never proves which job it is. */

#include "gitlab/environment.h"

#include "base/string.h"

static const char *get(const char *name) {
        const char *value = getenv(name);
        return isempty(value) ? NULL : value;
}

const char *gitlab_response_file(void) {
        return get("JOB_RESPONSE_FILE");
}

const char *gitlab_claimed_job_id(void) {
        return get("CUSTOM_ENV_CI_JOB_ID");
}

const char *gitlab_claimed_image(void) {
        return get("CUSTOM_ENV_CI_JOB_IMAGE");
}
