/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* The status of jobs, and of several jobs together. Source: GitLab's composite status. */

typedef enum JobStatus {
        JOB_CREATED, /* waits for others */
        JOB_PENDING, /* may start, or waits for another job of its resource group */
        JOB_RUNNING,
        JOB_SUCCESS,
        JOB_FAILED,
        JOB_CANCELED,
        JOB_SKIPPED,
        JOB_MANUAL,    /* waits for a person */
        JOB_SCHEDULED, /* waits for its delay, which counts as a person here */
        JOB_CANCELING, /* runs, and is to be ended */
        JOB_STATUS_MAX,
} JobStatus;

/* Returns GitLab's name of the status, such as "created". Static. */
const char *job_status_name(JobStatus status);

/* Is the status final: success, failed, canceled or skipped? */
bool job_status_ended(JobStatus status);

/* A status with what allow_failure makes of it: a JobStatus, or one of these. */
typedef enum SeenStatus {
        SEEN_WARNING = JOB_STATUS_MAX, /* an allowed failure */
        SEEN_IGNORED,                  /* a manual job that nothing waits for */
        SEEN_MAX,
} SeenStatus;

#define STATUS_BIT(status) (1u << (status))

/* Returns how others see a job with @status: with @allow_failure, SEEN_WARNING for a failed or canceled job and
 * SEEN_IGNORED for a manual one; otherwise @status itself. */
unsigned status_seen(JobStatus status, bool allow_failure);

/* Returns the common status of jobs. @seen has STATUS_BIT() of the SeenStatus of each. With @by_needs, the status that
 * counts for a job that needs them. */
JobStatus status_composite(unsigned seen, bool by_needs);
