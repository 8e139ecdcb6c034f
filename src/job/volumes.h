/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "container/machine.h"
#include "job/spec.h"
#include "store/store.h"

/* The cache and the working copy of a job, as its image's settings say, held as long as this is open, and what to say
 * about them: no job fails because it has no cache. */
typedef struct JobVolumes {
        Place cache, builds;           /* PLACE_NONE: none */
        bool no_owner;                 /* nothing says which project the job is of: so it has none of its own */
        bool builds_replaced;          /* by a new one: what an earlier job left could not be cleaned */
        int cache_error, builds_error; /* -errno: why there is none; 0: none is wanted, or there is one */
        const PlaceKind *room_kind;    /* of these not enough could be removed to make room, */
        int room_error;                /* for this -errno; 0: nothing went wrong */
        char **removed;                /* to make room */
        char *in_the_way;              /* something else is mounted there, where one was wanted */
} JobVolumes;

#define JOB_VOLUMES_NONE                                   \
        (JobVolumes) {                                     \
                .cache = PLACE_NONE, .builds = PLACE_NONE, \
        }

void job_volumes_done(JobVolumes *volumes);
#define _cleanup_job_volumes_ _cleanup_(job_volumes_done)

/* Adds them to the plan @machine, which is not written yet, and removes other places that have no room beside them.
 * @settings are the image's. 0 or -ENOMEM. */
int job_volumes_take(const Settings *settings, const JobSpec *job, Machine *machine, JobVolumes *ret);

/* Does a container of @machine have something mounted on @directory, in it, or above it? That is in *ret_target, to be freed
 * (NULL: not wanted). True also without memory. */
bool job_volume_is_taken(const Machine *machine, const char *directory, char **ret_target);

/* For `cleanup`: job_volumes_find() appends the volumes of job @id to @places while its plan is there. When the job
 * is gone, job_volumes_release() notes that it no longer uses them. */
void job_volumes_find(const Settings *settings, const char *id, char ***places);
void job_volumes_release(const Settings *settings, char *const *places);
