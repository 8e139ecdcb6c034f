/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/variables.h"

/* Files of "artifacts:reports:dotenv", as GitLab reads them: a line is NAME=VALUE, with nothing special about quotes, "#"
 * or empty lines. Source: GitLab's ParseDotenvArtifactService, and the checks of its job variables. */

/* GitLab's limits where an administrator has not changed them. */
#define DOTENV_BYTES_MAX ((size_t) 5 * 1024) /* less than that */
#define DOTENV_VARIABLES_MAX 20
#define DOTENV_NAME_BYTES_MAX 255

/* Adds the variables of a file to @ret, which may have those of other files of the same job. Of equal names, the last
 * counts. Values are expanded later, for the job that gets them. Memory comes from @ret's arena.
 *
 * 0; or -EINVAL with what is wrong, in which line, in *reterr_problem, such as "line 2 is not NAME=VALUE". As in GitLab, the
 * whole report is useless then: some variables may have been added. */
int dotenv_read(const char *data, size_t size, Variables *ret, const char **reterr_problem);
