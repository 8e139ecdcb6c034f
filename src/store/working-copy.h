/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Where GitLab Runner puts the project of @repository (a URL) below its builds_dir: *ret, a path without a slash at its
 * beginning, to be freed. 0; -EINVAL: the URL has no such path; -ENOMEM. */
int working_copy_path(const char *repository, char **ret);

/* Cleans what an earlier job, which may have been killed, left of the working copy of @repository in directory @name of
 * @dir_fd: locks of git that nobody holds any more, and the directory beside it with the job's token and files. The rest is
 * left to GitLab's own script. Nobody else uses it, but jobs have filled it: no symlink is followed. 0, also where there is
 * no working copy yet; or -errno: it had better be replaced, unless the error says nothing about it
 * (error_is_want()). */
int working_copy_clean(int dir_fd, const char *name, const char *repository);
