/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "image/staging.h"

/* Removes generations of the image that nobody uses, beyond the number to keep that the current one has; of an image without
 * a current tree, all. Also completes an interrupted publish or rollback. Appends "NAME@NUMBER" of each to @names (NULL: not
 * wanted). 0, or the first -errno with the others removed. */
int generations_collect_locked(const Staging *staging, char ***names);

/* The same for all images of @root_dir that no process is changing now. With @dry_run it only looks. */
int generations_collect(const char *root_dir, bool dry_run, char ***names);
