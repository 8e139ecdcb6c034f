/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Moves trees of image @name that an interrupted publish or rollback (image/publish.h) left in the wrong place to their
 * places among the generations. One of them can be @tree in the staging directory @staging_fd, which the caller has
 * locked. @images_fd is @root_dir. 0 or -errno; nothing to do is success. */
int generations_settle(const char *root_dir, const char *name, int images_fd, int staging_fd, const char *tree);
