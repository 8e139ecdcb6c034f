/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "base/problem.h"
#include "image/image.h"

/* Images of registries that jobs named. They are kept in `<root_dir>/.oci`, which is itself a directory of images
 * (maintain/image-roots.h), under the names that image_reference_to_name() makes. The modification time of the generation's
 * file tells when a job last used the image. */

typedef struct ImageFetch {
        const Settings *settings; /* root_dir, image_cache_size */
        PullPolicy pull;
        const char *reference;    /* image_reference_problem() has nothing against it */
        const char *command;      /* our command, for the messages of those who wait for us; or NULL */
        bool for_service;         /* also record what the image runs as a service, unless @pull is PULL_NEVER */
        const Listener *listener; /* hears of steps, and of lines that programs print */
} ImageFetch;

/* Fetches the image if @pull says so, and holds it as generation_hold_reference() does. If several ask at the same time,
 * one fetches and the others wait for it. Then removes the least recently used images that no job uses until the rest is
 * within image_cache_size. Returns
 *      0
 *      > 0             as source_fill(): a program failed and printed the reason, which on_line passed on
 *      -ENOENT         the image was not fetched before, and @pull is PULL_NEVER
 *      -EINVAL         with @reterr_problem
 *      -EDQUOT         the image alone is larger than image_cache_size
 *      -ECANCELED
 *      another -errno, with @reterr_problem where the errno does not say everything
 * After a failure, an image that was fetched before is still there. */
int image_cache_get(const ImageFetch *fetch, Image **ret, Problem *reterr_problem);

/* Holds an image that was fetched before, as generation_hold_reference() does, and returns what that returns. */
int image_cache_hold(const char *root_dir, const char *reference, Image **ret);

/* Makes the reference of the image @name in the cache's directory of images @root. If its name has only a hash, the image's
 * record tells; where that cannot be read, the name stands for it. *ret is to be freed. 0 or -ENOMEM. */
int image_cache_reference(const char *root, const char *name, char **ret);

/* Removes all images of the cache that no job uses; with @dry_run it only looks. Appends the names of their directories
 * to @names. Returns 0, or the first -errno after it removed the others. */
int image_cache_remove_unused(const char *root_dir, bool dry_run, char ***names);

/* Makes room on a full disk: removes images that no job uses, but not @spare (a reference, or NULL), the least recently
 * used first, until @enough returns true. @enough is called with the number of bytes removed so far. 0 or -ENOMEM. */
int image_cache_give_way(const char *root_dir, const char *spare,
                         bool (*enough)(void *userdata, uint64_t removed_bytes), void *userdata);
