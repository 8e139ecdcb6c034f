/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "job/spec.h"
#include "machine/directory.h"
#include "machine/job-end.h"

/* Reports what a job used: in its own log, if the setting `report` wants that, and in the file `metrics_file`. A
 * failure of this never fails a job. */

/* What `prepare` is called as a step. */
#define REPORT_PREPARE "prepare"

/* Notes that a step of the job took @usec. @own: the settings of its image, which may be @settings. */
void report_step(const Settings *settings, const Settings *own, const MachineDirectory *directory, const char *stage,
                 uint64_t usec);

/* The script of @stage (NULL: not said) ended like this: for the metrics. */
void report_end(const Settings *settings, const MachineDirectory *directory, const char *stage, JobEnd end);

/* A `prepare` ended with @result, which is not 0: counts it in metrics_file. STAGE_BUILD_FAILURE is the job's fault, -ENOSPC
 * the disk's, and -ECANCELED nobody's; all else is the system's. */
void report_failed_prepare(const Settings *settings, int result);

/* After step @stage: if it is the last one whose output gets into the job's log, says what the job has used, and each
 * of its services. */
void report_usage(const Settings *settings, const Machine *machine, const MachineDirectory *directory,
                  const char *stage);

/* Counts the job in metrics_file, once. Call it before the job is removed. */
void report_job(const Settings *settings, const JobSpec *job);
