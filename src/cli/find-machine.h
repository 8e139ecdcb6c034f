/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"

/* For commands about a job that a person names. */

/* The id of the machine that @job is (a whole id, or the number of only one job), or of its service @service (NULL: the job's
 * own): a number, or one of its names. *ret is to be freed. 0; -ENOENT, -ENOTUNIQ or another -errno, logged. */
int find_machine_logged(const Settings *settings, const char *job, const char *service, char **ret);

/* Logs that @job does not run, or only root can know. Returns @error. */
int log_not_running(const char *job, int error);
