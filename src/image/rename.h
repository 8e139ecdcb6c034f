/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "image/staging.h"

/* Renames image @name, with all its generations, to @new_name. Trees keep their inodes, so jobs that run on them do not
 * notice. Waits, as staging_open() does, for processes that change either image. 0; -ENOENT: there is no such image;
 * -ENOTDIR and -ENODATA: what has that name is no image; -EEXIST: something has the new name, even if it is only old
 * generations that jobs still use; -EBUSY: another process is changing one of them, or the image is a mount point; or
 * another -errno. If the process is killed half way, the next one that locks the staging directory of either name
 * completes it. */
int image_rename(const char *root_dir, const char *name, const char *new_name, Turn *turn);
