/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "command/command.h"
#include "job/spec.h"
#include "machine/directory.h"

/* What the commands of a job's stages share. They log what goes wrong. */

/* The job that the invocation is for; after 0, call job_spec_done(). 0 or -errno. */
int find_job(const Invocation *invocation, JobSpec *ret);

/* How long the container of this job stays if it fails, in microseconds: as the setting keep_failed says, or, if `exec`
 * calls us, its option. */
uint64_t keep_failed_usec(const Settings *settings);

/* Logs to the job's log why the container in @directory ended, and the last lines of its console. */
void log_end_of_machine(const MachineDirectory *directory);
