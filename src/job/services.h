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

/* Each container of the job is told all of them, with two addresses for each service, in one message (wire/wire.h). */
#define SERVICES_NAMES_BYTES_MAX ((size_t) 16 * 1024)

typedef enum ServicesOutcome {
        SERVICES_TOO_MANY = 1, /* more than ID_SERVICES_MAX */
        SERVICES_LONG_NAMES,   /* their names together have more than SERVICES_NAMES_BYTES_MAX */
        SERVICES_FAULT_OF_JOB, /* a worker said so */
        SERVICES_CANCELLED,    /* something was readable on signal_fd */
        SERVICES_JOB_ENDED,    /* the job's own container did */
} ServicesOutcome;

/* What is to be done for one service, from its image to its being ready. */
typedef struct ServiceWork {
        const Settings *settings; /* the configuration */
        const JobSpec *job;
        const JobService *service;
        char *const *names;
        unsigned number; /* among the services of the job, from 1: see id_of_service() */
        bool debug;      /* what it prints goes into the job's log */
        int go_fd;       /* one byte comes when the job's own container was begun, end of file when it never will */
        int signal_fd;   /* gives up when readable */
} ServiceWork;

/* Does all of it, in a process of its own. 0; positive: the job is at fault; or -errno. */
typedef int ServiceWorker(const ServiceWork *work);

/* Finds the services' names, for ret->names, with those that are taken or invalid. 0; SERVICES_TOO_MANY;
 * SERVICES_LONG_NAMES; or -ENOMEM. */
int job_services_name(const JobSpec *job, JobServices *ret);

/* Is service @i started? It is not if no name is left for it. */
bool job_services_has(const JobServices *services, size_t i);

/* Is there anything to start? */
bool job_services_any(const JobServices *services);

/* Begins to work on all of them. @settings and the job must outlive the processes. 0 or -errno. */
int job_services_begin(const Settings *settings, JobServices *services, ServiceWorker *worker);

/* The number of the address of service @number in the network of its job (network/block.h). */
unsigned job_services_address(unsigned number);

/* Says in @machine, the plan of the job's own machine, that others join its network, under which names, and which
 * directories it shares with them. @settings are those of its image. 0; -ENOPKG as of shared_volume_source()
 * (machine/shared.h); or -ENOMEM. */
int job_services_plan(const JobServices *services, const Settings *settings, Machine *machine);

/* The job's own container was begun: the services join it. @on_go hears of each that is still worked on. */
void job_services_go(JobServices *services, void (*on_go)(const JobService *service, const char *name));

/* Waits until all services are ready, or their time is over. @starting is that of the job's own container: gives up
 * when that ends, or when @signal_fd is readable. 0, a ServicesOutcome or -errno. If a worker failed, it has logged
 * why. */
int job_services_wait(JobServices *services, const MachineStarting *starting, int signal_fd);

/* Ends the processes that are still there: their machines are for machine_remove_locked() of the job. */
void job_services_done(JobServices *services);
#define _cleanup_job_services_ _cleanup_(job_services_done)
