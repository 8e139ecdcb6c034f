/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "local/sources-bundle.h"

/* Adds ".git": the commit that is checked out with as many before it as wanted, and the index of its tree. 0 or -errno. */
int sources_put_repository(Sources *sources);
/* Adds the files of the commit, as they are stored. 0 or -errno. */
int sources_put_commit(Sources *sources);
