/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "local/job.h"

/* The keyword `run`. GitLab Runner makes `step-runner ci` of it where the executor has no steps of its own, and the image must
 * have that program. Where it has not, plain scripts run here without it. */

/* The exit status of the script if the job needs step-runner and the image has none: a shell's for a missing command. */
#define LOCAL_STEPS_EXIT_STATUS 127

/* Why the steps need step-runner, as a sentence; NULL: they are scripts that run without it, or the job has no `run`. */
const char *local_steps_need(const LocalJob *job);
/* Appends the commands that run the steps, with words quoted as of text_add_quoted(). */
void local_steps(const LocalJob *job, bool posix, Text *text);
