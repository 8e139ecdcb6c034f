/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "store/place.h"

/* Caches and working copies that outlive jobs. Which one a job gets follows from what GitLab says about it, and from
 * nothing that the job chooses: its server and project, and whether its branch or tag is protected. So nothing that a job
 * of another project writes, or one of an unprotected branch, reaches a protected one. */
typedef struct StoreOwner {
        const char *repository; /* URL without user and password, or NULL */
        uint64_t project_id;    /* 0: not said */
        bool ref_protected;
} StoreOwner;

/* Is all said that is needed? */
bool store_owner_is_known(const StoreOwner *owner);

/* The place of the project's cache, or with @shared the one that all projects have, locked as long as *ret is open. Several
 * jobs may have it at once. 0 or -errno. */
int store_hold_cache(const char *root_dir, const StoreOwner *owner, bool shared, Place *ret);

/* A working copy's place that no other job has, locked in the same way: the lowest free slot of the project's. @user, who
 * may be NULL, is the user and image of steps that do not run as root: such a user could not change what others made. What
 * an earlier job left is cleaned (store/working-copy.h), and replaced by an empty one where that fails, or where the host
 * went down during that job: *ret_replaced; but not where it is memory, a descriptor or the disk that fails. @holder, a text
 * of one job alone, is in PLACE_HOLDER then, so that nobody who was to take the lock over takes it from the next job. 0 or
 * -errno. */
int store_hold_builds(const char *root_dir, const StoreOwner *owner, const char *user, const char *holder, Place *ret,
                      bool *ret_replaced);

/* A job has ended that had the place @path: notes that and, if it takes no more than some milliseconds to find out, how large
 * the place is now. Best effort. Returns false if it takes longer: see store_measure_alone(). */
bool store_release(const char *path);

/* What these three remove goes to the trash of @root_dir: emptying it is the caller's business. */

/* Removes the least recently used places of @kind that no job holds, until what is known of their sizes adds up to @max_bytes
 * at most. @keep (may be NULL) is the name of the one to be used next, which is the last to go. Names of what was removed, or
 * with @dry_run would be, are appended to @removed (NULL: not wanted). Measures nothing. 0 or the first -errno. */
int store_shrink(const char *root_dir, const PlaceKind *kind, uint64_t max_bytes, const char *keep, bool dry_run,
                 char ***removed);

/* Removes places of @kind that no job holds, and empties the trash, the least recently used one first, until @is_enough,
 * which is told how large all that went was, as far as is known. 0 or the first -errno. */
int store_give_way(const char *root_dir, const PlaceKind *kind,
                   bool (*is_enough)(void *userdata, uint64_t removed_bytes), void *userdata);

/* Measures those places of which no complete size is known, or that were used since. 0 or the first -errno. */
int store_measure(const char *root_dir, const PlaceKind *kind);

/* The same, unless another process does so at this moment: 0 at once then. */
int store_measure_alone(const char *root_dir, const PlaceKind *kind);

/* Removes one. 0; -EBUSY: a job has it; -ENOENT; or another -errno. */
int store_remove(const char *root_dir, const PlaceKind *kind, const char *name);

/* The name of a cache's place, to be freed: 0 or -ENOMEM. */
int store_cache_name(const StoreOwner *owner, bool shared, char **ret);
