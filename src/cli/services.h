/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"
#include "job/service-names.h"
#include "machine/start.h"

/* The services of a job while `prepare` starts it: a process of its own works on each. */
typedef struct JobServices {
        const JobSpec *job;
        ServiceNames *names;
        pid_t *pids; /* of each service; 0: there is no process, or no more */
        int go_fd;   /* closed, or written to, for all */
} JobServices;

#define JOB_SERVICES_NONE       \
        (JobServices) {         \
                .go_fd = -EBADF \
        }

/* Finds the services' names, and begins to fetch their images. @settings and @job must outlive the processes. Logs. 0;
 * STAGE_BUILD_FAILURE where it is the job that is at fault; or -errno. */
int job_services_begin(const Settings *settings, const JobSpec *job, JobServices *ret);

/* Says in @machine, the plan of the job's own machine, that others join its network, under which names, and which directories
 * it shares with them. @settings are those of its image. 0 or -ENOMEM. */
int job_services_plan(const JobServices *services, const Settings *settings, Machine *machine);

/* Is there anything to start? */
bool job_services_any(const JobServices *services);

/* The job's own machine was begun: the services join it. */
void job_services_go(JobServices *services);

/* Waits until all of them are ready, or have had their time. @starting is that of the job's own machine: when that ends, or
 * something is readable on @signal_fd, this gives up. Logs. 0; STAGE_BUILD_FAILURE where it is the job that is at fault; or
 * -errno. */
int job_services_wait(JobServices *services, const MachineStarting *starting, int signal_fd);

/* Ends the processes that are still there: their machines are for machine_remove_locked() of the job. */
void job_services_done(JobServices *services);
#define _cleanup_job_services_ _cleanup_(job_services_done)
