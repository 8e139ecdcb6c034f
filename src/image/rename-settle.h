/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A file in the staging directory of an image that is being renamed: it contains the new name. */
#define IMAGE_RENAME_MARK "renamed-to"

/* Moves the old generations of image @name, if there are any, to image @new_name, which has none. 0 or -errno. */
int image_rename_generations(int images_fd, const char *name, const char *new_name);

/* Completes an interrupted rename of image @name, according to the mark in its locked staging directory @staging_fd.
 * Best effort. Does not remove the mark. */
void image_rename_settle(const char *name, int images_fd, int staging_fd);
