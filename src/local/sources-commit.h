/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "local/sources-bundle.h"

/* Adds ".git" from the directory @repository (sources-repository.h): commits, and the index of the last one's tree. 0
 * or -errno. */
int sources_put_repository(Sources *sources, const char *repository);
/* Adds the files of the commit, as they are stored. 0 or -errno. */
int sources_put_commit(Sources *sources);
