/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* GitLab Runner reads from the driver's exit status whether the job failed or the system that runs it, and retries only
 * in the second case. Only these functions turn results into exit statuses. */

/* A command of a stage returns 0, -errno, or this: the job failed. */
#define STAGE_BUILD_FAILURE 1

/* Maps a stage's result: 0 to 0; negative to $SYSTEM_FAILURE_EXIT_CODE (2 when absent or odd); positive to
 * $BUILD_FAILURE_EXIT_CODE (1). */
int exit_status_for_stage(int result);

/* Writes the script's own exit status to $BUILD_EXIT_CODE_FILE (gitlab-runner 17.9), where that is set; the runner
 * reads it only after a build failure, and never clears it. 0 or -errno. */
int exit_status_report(int status);
/* Removes what an earlier call for the same job wrote, which the runner would read as this call's. */
/* Does GitLab Runner want to know the exit status? A person who calls us has to be told otherwise. */
bool exit_status_is_reported(void);
void exit_status_forget(void);
