/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "image/staging.h"

/* Removes generations of the image that nobody uses and that are beyond the number to keep, which the current
 * generation has; of an image without a current tree, all. The caller holds @staging. Also completes an interrupted
 * publish or rollback. Appends "NAME@NUMBER" of each to @names (NULL: not wanted). Returns 0, or the first -errno after
 * it removed the others. */
int generations_collect_locked(const Staging *staging, char ***names);

/* The same for all images of @root_dir that no process is changing now. With @dry_run it only looks. */
int generations_collect(const char *root_dir, bool dry_run, char ***names);

/* Removes old generation @number of image @name, even if it is to be kept. Waits as staging_open(). 0;
 * GENERATION_IN_USE: a job uses it, and it stays; -ENOENT: there is no such generation; -EALREADY: it is the current
 * one; -EBUSY: another process is changing the image; or another -errno. */
int generation_remove(const char *root_dir, const char *name, uint64_t number, Turn *turn);
#define GENERATION_IN_USE 1
