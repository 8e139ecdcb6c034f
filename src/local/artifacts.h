/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "local/keeper.h"

/* Artifacts and reports of a job. What a job leaves in the store replaces what the last run of the same job left. Several
 * runs of a working copy may do so at the same time: a job gets what an earlier one left in its own run, whatever the others
 * do, and the last that there is only of jobs that are not part of the run. */

/* The job begins: forgets what an earlier run of it left. 0 or -errno. */
int artifacts_forget(const LocalStore *store, const char *job);

/* Are there artifacts of @job? */
bool artifacts_are_there(const LocalStore *store, const char *job);
/* Puts the artifacts of job @from, which has some, into the project. 0 or -errno. */
int artifacts_download(const Keeper *keeper, const char *from);
/* Keeps the job's artifacts and reports as they are wanted after success or failure. 0; or -errno: in GitLab, the job fails
 * then. */
int artifacts_upload(const Keeper *keeper, bool success);

/* Reads the file @file of the artifacts that job @job left. 0; -ENOENT: there is none; or another -errno. *ret_data is to be
 * freed. */
int artifacts_read_file(const LocalStore *store, const char *job, const char *file, size_t max_bytes, char **ret_data,
                        size_t *ret_size);

/* Adds the variables of the dotenv reports that job @from left, or none of them if a report is not valid. What @variables
 * has already does not count for GitLab's limits. */
void artifacts_read_dotenv(const LocalStore *store, const char *from, Variables *variables);
