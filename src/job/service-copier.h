/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"
#include "job/service-log.h"
#include "job/spec.h"

/* The services of a job while one of its scripts runs. */

/* What copies their output into the job's log. */
typedef struct ServiceCopier {
        pid_t pid;   /* 0: there is none */
        int stop_fd; /* closed: it is to end */
} ServiceCopier;

#define SERVICE_COPIER_NONE       \
        (ServiceCopier) {         \
                .stop_fd = -EBADF \
        }

/* Begins to copy if the job wants that (CI_DEBUG_SERVICES), in a process that dies with us: @on_line is called there. Best
 * effort. */
void service_copier_begin(const Settings *settings, const JobSpec *job, OnLine *on_line, ServiceCopier *ret);

/* Returns when all that was printed by now is in the log, or after some seconds: a script does not wait for its services. */
void service_copier_end(ServiceCopier *copier);
#define _cleanup_service_copier_ _cleanup_(service_copier_end)
