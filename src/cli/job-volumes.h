/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "container/machine.h"
#include "job/spec.h"
#include "store/store.h"

/* The cache and the working copy that a job gets, as its image's settings say, held as long as this is open. */
typedef struct JobVolumes {
        Place cache, builds; /* PLACE_NONE: none */
} JobVolumes;

#define JOB_VOLUMES_NONE                                   \
        (JobVolumes) {                                     \
                .cache = PLACE_NONE, .builds = PLACE_NONE, \
        }

void job_volumes_done(JobVolumes *volumes);
#define _cleanup_job_volumes_ _cleanup_(job_volumes_done)

/* Adds them to the plan @machine, which is not written yet, and removes what has no room besides them. What the job cannot
 * have, and why, goes to its log: no job fails for want of a cache. @settings are the image's. 0 or -ENOMEM. */
int job_volumes_take(const Settings *settings, const JobSpec *job, Machine *machine, JobVolumes *ret);

/* Does a container of @machine have something mounted on @directory, in it, or above it? True also without memory. */
bool job_volume_is_taken(const Machine *machine, const char *directory);

/* For `cleanup`: what job @id has, appended to @places while its plan is there; and, when the job is gone, that it no longer
 * uses them. */
void job_volumes_find(const Settings *settings, const char *id, char ***places);
void job_volumes_release(const Settings *settings, char *const *places);
