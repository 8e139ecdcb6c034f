/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/name-table.h"

/* Environment variables of GitLab Runner's custom executor. The job chooses CUSTOM_ENV_* variables: never trust them if
 * the job response has the same. The functions that return a string return it from the environment, or NULL if the
 * variable is absent or empty. */

/* JOB_RESPONSE_FILE: path of the job as GitLab sent it (gitlab-runner 14.1). */
const char *gitlab_response_file(void);
/* CUSTOM_ENV_CI_JOB_ID, CUSTOM_ENV_CI_JOB_IMAGE: only for callers without a response file. */
const char *gitlab_claimed_job_id(void);
const char *gitlab_claimed_image(void);
/* CUSTOM_ENV_CI_BUILDS_DIR: the directory, inside the container, that projects are checked out below. */
const char *gitlab_claimed_builds_dir(void);

/* CUSTOM_ENV_NAME: the value of variable @name of the job, with variables in it expanded; of one of type file, its content. */
const char *gitlab_job_variable(const char *name);

/* Writes all CUSTOM_ENV_NAME variables as "NAME=VALUE", each with a NUL byte behind it, into a sealed memory file,
 * because there are secrets among them. Returns its descriptor; -ENOENT: there are no variables; -EFBIG: they need more
 * than @max_bytes; or another -errno. */
int gitlab_job_variables(size_t max_bytes);

/* Puts the values of all CUSTOM_ENV_NAME variables under their names. 0 or -ENOMEM. */
int gitlab_variables(NameTable *ret);

/* Replaces $NAME and ${NAME} in @text as GitLab Runner does: by what @variables has under NAME, a string, or by nothing if
 * there is none; and $$ by $. *ret is to be freed. 0; -E2BIG: the text or the result is longer than any argument or variable
 * of a program can be; or -ENOMEM. */
#define GITLAB_EXPANDED_BYTES_MAX ((size_t) 128 * 1024 - 1) /* MAX_ARG_STRLEN, linux/binfmts.h */
int gitlab_expand(const char *text, const NameTable *variables, char **ret);

/* The same for @text itself (NULL: nothing). What would be too long stays as it is. 0 or -ENOMEM. */
int gitlab_expand_in_place(char **text, const NameTable *variables);
