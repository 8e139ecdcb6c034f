/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "command/command.h"
#include "machine/directory.h"

/* For commands about a job that a person names. */

/* @id as it is, if a job has it, or the id of the only job with that number: replaces *ret. 0; -ENOENT or -ENOTUNIQ
 * with *ret as it was; or another -errno. */
int find_machine(const Settings *settings, const char *id, char **ret);

/* Finds the container of @job (a whole id, or a number that only one job has), or of its service @service (a number,
 * or one of its names; NULL: the job's own container). *ret is its id, to be freed. 0; -ENOENT, -ENOTUNIQ or another
 * -errno, logged. */
int find_machine_logged(const Settings *settings, const char *job, const char *service, char **ret);

/* The container of the job in the command's first argument, or of the service @service (NULL: the job itself). 0 or
 * -errno, logged. */
int open_machine_logged(const Invocation *invocation, const char *service, MachineDirectory *ret_directory,
                        Machine **ret_machine);

/* Logs that @job does not run, or only root can know. Returns @error. */
int log_not_running(const char *job, int error);
