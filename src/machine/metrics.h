/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/metrics-text.h"
#include "machine/usage.h"

/* Sums of what jobs used, by image and project, how they ended and how long they took to prepare, as a file for Prometheus'
 * textfile collector (its text format, version 0.0.4). The file itself is where the sums are kept. */

/* One job, or one `prepare` that failed. */
typedef struct MetricsJob {
        const char *image;   /* NULL: a `prepare`, for @failure; all else is not looked at */
        uint64_t project_id; /* 0: unknown */
        MachineUsage usage;
        uint64_t steps_usec;
        uint64_t prepare_usec; /* 0: unknown */
        JobEnd end;
        PrepareFailure failure;
} MetricsJob;

/* The file's new text, to be freed, made of the old one (NULL: there is none yet) and a job. Lines that are not ours are
 * dropped. 0 or -ENOMEM. */
int metrics_add(const char *text, const MetricsJob *job, char **ret);

/* Adds @job to the file at @path, which is replaced as a whole; several processes may do so at the same time. 0; -EBUSY: the
 * others take too long; or another -errno, with the file as it was. */
int metrics_file_add(const char *path, const MetricsJob *job);

/* Adds the file's sums to @sums. 0; -ENOENT: no job was counted yet; or another -errno. */
int metrics_file_read(const char *path, MetricsSums *sums);
