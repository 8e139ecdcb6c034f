/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"
#include "job/spec.h"

/* One service of a job, from its image to its being ready. */
typedef struct ServiceWork {
        const Settings *settings; /* the configuration */
        const JobSpec *job;
        const JobService *service;
        char *const *names;
        unsigned number;     /* among the services of the job, from 1: see id_of_service() */
        const char *subject; /* what messages begin with */
        bool debug;          /* what it prints goes into the job's log */
        int go_fd;           /* one byte comes when the job's own machine was begun, end of file when it never will */
        int signal_fd;       /* gives up when readable */
} ServiceWork;

/* The number of its address in the network of its job (network/block.h). */
unsigned service_address(unsigned number);

/* Fetches the image if need be, waits for go_fd, starts the service's machine, and waits until it is ready, at most as long
 * as the settings say: that it does not get ready is no failure. Logs. 0; STAGE_BUILD_FAILURE where it is the job that is at
 * fault; or -errno (-ECANCELED: the job's machine was never begun). What is left after a failure goes with the job. */
int service_work(const ServiceWork *work);
