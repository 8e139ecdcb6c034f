/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"

/* Makes a sentence that says how many files of a tree have owners that do not exist in jobs with @settings. *ret is to
 * be freed; NULL: there are no such files. 0 or -errno. */
int owners_warning(int tree_fd, const Settings *settings, char **ret);
