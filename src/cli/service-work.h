/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "job/services.h"

/* How `prepare` starts the services of its job, with job/services.h. These functions log. */

/* Finds the services' names and begins to fetch their images. 0; STAGE_BUILD_FAILURE where it is the job that is at
 * fault; or
 * -errno. */
int services_begin_logged(const Settings *settings, const JobSpec *job, JobServices *ret);

/* The job's own container was begun: the services join it. */
void services_go_logged(JobServices *services);

/* Waits until all are ready, or their time is over, which is no failure. Returns as above; -ECANCELED: somebody cancelled the
 * start. */
int services_wait_logged(JobServices *services, const MachineStarting *starting, int signal_fd);
