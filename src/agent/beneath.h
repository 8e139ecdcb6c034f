/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Files below a directory of the container: no path leads out of it, wherever symlinks point. */

/* Opens the directory that @path, of at most BUNDLE_PATH_MAX bytes, is in, as open_beneath() does. The descriptor or
 * -errno. */
int open_parent_beneath(int dir_fd, const char *path);

/* What @path, which has no slash at its end, is called in its directory. */
const char *last_part(const char *path);

/* Says on stderr what is wrong with @path, an errno with any sign. EXIT_FAILURE. */
int path_failed(int error, const char *path);
