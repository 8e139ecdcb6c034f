/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"

/* Says in a sentence how many files of a tree have owners that jobs with @settings do not have. *ret is to be freed; NULL:
 * there are none. 0 or -errno. */
int owners_warning(int tree_fd, const Settings *settings, char **ret);
