/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "image/generation.h"
#include "image/staging.h"

/* What changes which tree is an image's current one. Each function takes or has the image's staging lock; the change
 * itself is one rename, so that whoever opens the image has the old tree or the new one, whole, and so it is after a
 * power failure. */

/* Makes the staging tree the current one of its image: the next generation, described by @about (its number, and times
 * that are 0, are filled in; NULL: nothing is known). The tree that was current becomes an old generation, and gets a
 * number if it had none. @ret_number may be NULL.
 * 0; -EUCLEAN when nothing may be started in that tree (tree/check.h); -EEXIST when the staging was opened for a new
 * image and something has its name by now; or another -errno. @reterr_problem (may be NULL) says why where the error alone
 * does not, and completes "Image 'NAME' was not made: ". Then the image is as before and the tree still in the staging
 * directory. Old generations stay: generations_collect(). */
int publish(Staging *staging, const Generation *about, uint64_t *ret_number, Problem *reterr_problem);

/* Notes that @keep generations are to be kept while the present current one is, which has a number. Nothing is removed
 * yet: generations_collect(). 0; -ENOENT when nothing is known of the current generation, or there is none; or -errno. */
int publish_keep(const Staging *staging, uint64_t keep);

/* Makes old generation @number of image @name the current one again. @number 0: the lower-numbered one that was current
 * most recently. Numbers stay with their trees. Waits as staging_open(). 0; -ENOENT when there is no such generation or
 * image; -EALREADY when it is current; -EBUSY when another process is changing the image; or -errno, with
 * @reterr_problem as above. */
int publish_rollback(const char *root_dir, const char *name, uint64_t number, Turn *turn, uint64_t *ret_number,
                     Problem *reterr_problem);

/* Is there something of that name that publish_remove() takes away? 0; -ENOENT; -ENOTDIR or -ENODATA when what has that
 * name is no image (image_recognize()); or another -errno. */
int publish_removable(const char *root_dir, const char *name);

/* Takes image @name away: no job finds it any more, and what no job uses is removed. *ret_in_use is the number of trees
 * that stay until their jobs have ended, for generations_collect(). Waits as staging_open(). 0; what publish_removable()
 * says, and then nothing was touched; -EBUSY when another process is changing the image; or -errno. */
int publish_remove(const char *root_dir, const char *name, Turn *turn, unsigned *ret_in_use);
