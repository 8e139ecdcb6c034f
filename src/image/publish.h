/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "image/generation.h"
#include "image/staging.h"

/* Functions that change which tree is an image's current one, under the image's staging lock. The change itself is one
 * rename, so others see either the old tree or the new one, complete, also after a power failure. */

/* Makes the staging tree the next generation of its image, and the current one. @about describes it (NULL: nothing is
 * known); its number is filled in, and so are times that are 0, and if no number of generations to keep is given, the present
 * one. The tree that was current becomes an old generation, and gets a number if it had none. @ret_number may be NULL.
 * 0; -EUCLEAN when nothing may be started in that tree (tree/check.h); -EEXIST when the staging was opened for a new
 * image and something has its name by now; or another -errno. @reterr_problem (may be NULL) says why where the error alone
 * does not, and completes "Image 'NAME' was not made: ". Then the image is as before and the tree still in the staging
 * directory. Old generations stay: generations_collect(). */
int publish(Staging *staging, const Generation *about, uint64_t *ret_number, Problem *reterr_problem);

/* Sets the number of generations to keep, while the present one is current, to @keep. The current generation must have
 * a number. generations_collect() removes the others. 0; -ENOENT: there is no current generation, or nothing is known
 * of it; or another -errno. */
int publish_keep(const Staging *staging, uint64_t keep);

/* Notes that a registry was asked at @asked_usec, and that the current generation is still what it has. Returns as
 * publish_keep(). */
int publish_asked(const Staging *staging, uint64_t asked_usec);

/* Makes old generation @number of image @name the current one again. @number 0: the lower-numbered one that was current
 * most recently. Numbers stay with their trees. Waits as staging_open(). 0; -ENOENT when there is no such generation or
 * image; -EALREADY when it is current; -EBUSY when another process is changing the image; or -errno, with
 * @reterr_problem as above. */
int publish_rollback(const char *root_dir, const char *name, uint64_t number, Turn *turn, uint64_t *ret_number,
                     Problem *reterr_problem);

/* Is there something of that name that publish_remove() would remove? 0: yes; -ENOENT; -ENOTDIR or -ENODATA: what has
 * that name is no image (image_recognize()); or another -errno. */
int publish_removable(const char *root_dir, const char *name);

/* Removes image @name, so that no job finds it any more. *ret_in_use is the number of trees that jobs still use;
 * generations_collect() removes them later. Waits as staging_open(). 0; an error of publish_removable(), with nothing
 * touched; -EBUSY: another process is changing the image; or another -errno. */
int publish_remove(const char *root_dir, const char *name, Turn *turn, unsigned *ret_in_use);
