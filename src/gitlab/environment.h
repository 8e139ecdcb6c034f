/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* What GitLab Runner's custom executor says in environment variables. CUSTOM_ENV_* variables are the job's to choose:
 * never trust them where the job response has the same. All return NULL where a variable is absent or empty, and
 * what they return is the environment's. */

/* JOB_RESPONSE_FILE: path of the job as GitLab sent it (gitlab-runner 14.1). */
const char *gitlab_response_file(void);
/* CUSTOM_ENV_CI_JOB_ID, CUSTOM_ENV_CI_JOB_IMAGE: only for callers without a response file. */
const char *gitlab_claimed_job_id(void);
const char *gitlab_claimed_image(void);
/* CUSTOM_ENV_CI_BUILDS_DIR: the directory, inside the machine, that projects are checked out below. */
const char *gitlab_claimed_builds_dir(void);

/* @text with its $NAME and ${NAME} replaced, as GitLab Runner does where it uses the same text itself: by the values of
 * CUSTOM_ENV_NAME, nothing where there is no such variable, and $$ by $. @own (NULL: none) are "NAME=VALUE"s that go over
 * those variables. 0 or -ENOMEM. */
int gitlab_expand(const char *text, char *const *own, char **ret);
