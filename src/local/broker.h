/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "local/broker-client.h"

typedef struct BrokerSetup {
        const char *runtime_dir; /* below which jobs have directories */
        char *const *command;    /* our own program with global options */
        uint64_t keep_usec;      /* how long the containers of failed jobs stay; 0: not at all */
        int first_fd;
        int child_pidfd; /* of the first client */
        int signal_fd;   /* as signals_open() makes it */
} BrokerSetup;

/* Serves until the first client has ended and all jobs are cleaned up. 0; 1: somebody wanted the pipeline to end; or
 * -errno. */
int broker_run(const BrokerSetup *setup);
