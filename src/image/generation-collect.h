/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "image/staging.h"

/* Removes the generations of the image that are beyond the number to keep (as the current one says) and that nobody uses,
 * and puts in order what an interrupted publish or rollback left. Of an image that has no current tree, nothing is kept.
 * "NAME@NUMBER" of each goes to @names (NULL: not wanted). 0, or the first -errno with the others removed. */
int generations_collect_locked(const Staging *staging, char ***names);

/* The same for all images of @root_dir that nobody works on just now. With @dry_run only looks. */
int generations_collect(const char *root_dir, bool dry_run, char ***names);
