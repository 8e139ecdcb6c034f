/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* GitLab Runner reads from the driver's exit status whether the job failed or the system that runs the job. It retries
 * only if the system failed. Only these functions turn results into exit statuses. */

/* A command of a stage returns 0, -errno, or this: the job failed. */
#define STAGE_BUILD_FAILURE 1

/* Maps a stage's result: 0 to 0; negative to $SYSTEM_FAILURE_EXIT_CODE (2 when absent or odd); positive to
 * $BUILD_FAILURE_EXIT_CODE (1). */
int exit_status_for_stage(int result);

/* Writes the script's own exit status to $BUILD_EXIT_CODE_FILE (gitlab-runner 17.9), if that is set. GitLab Runner
 * reads the file only after a build failure, and never clears it. 0 or -errno. */
int exit_status_report(int status);
/* Does GitLab Runner want to know the script's exit status? If not, a person called us and must be told in another
 * way. */
bool exit_status_is_reported(void);
/* Removes the status that an earlier call for the same job wrote: GitLab Runner would take it for the status of this
 * call. */
void exit_status_forget(void);
