/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "job/spec.h"
#include "machine/directory.h"

/* Reports what a job used: in its own log, if the setting `report` wants that, and in the file `metrics_file`. A
 * failure of this never fails a job. */

/* Notes that a step of the job took @usec. @own: the settings of its image, which may be @settings. */
void report_step(const Settings *settings, const Settings *own, const MachineDirectory *directory, const char *stage,
                 uint64_t usec);

/* After step @stage: if it is the last one whose output gets into the job's log, says what the job has used, and each of its services. */
void report_usage(const Settings *settings, const Machine *machine, const MachineDirectory *directory,
                  const char *stage);

/* Counts the job in metrics_file, once. Call it before the job is removed. */
void report_job(const Settings *settings, const JobSpec *job);
