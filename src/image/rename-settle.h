/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Files in the staging directories of an image that is being renamed: in that of the old name, with the new one, and in
 * that of the new name, with the old one. */
#define IMAGE_RENAMED_TO "renamed-to"
#define IMAGE_RENAMED_FROM "renamed-from"

/* Moves the old generations of image @name, if there are any, to image @new_name, which has none. 0 or -errno. */
int image_rename_generations(int images_fd, const char *name, const char *new_name);

/* Completes an interrupted rename of image @name, to it or from it, according to the marks in its locked staging directory
 * @staging_fd. Best effort. Does not remove the marks in there. */
void image_rename_settle(const char *name, int images_fd, int staging_fd);

/* Finds the name under which image @name in @root_dir still has its generations, while it is being renamed. *ret is to be
 * freed. 0; -ENOENT: it is not being renamed; or another -errno. */
int image_renamed_from(const char *root_dir, const char *name, char **ret);
