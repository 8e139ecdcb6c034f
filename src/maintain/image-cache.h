/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "base/problem.h"
#include "image/image.h"

/* Images of registries that jobs named. They are kept in `<root_dir>/.oci`, which is a directory of images, too
 * (image/generation.h, image/staging.h), by the names that image_reference_to_name() gives. The modification time of the
 * generation's file tells when a job last used the image. */
#define IMAGE_CACHE_DIRECTORY ".oci"

typedef struct ImageFetch {
        const Settings *settings; /* root_dir, image_cache_size */
        PullPolicy pull;
        const char *reference;    /* image_reference_problem() has nothing against it */
        const char *command;      /* our command, for the messages of those who wait for us; or NULL */
        bool for_service;         /* what it runs as a service has to be known, too, unless @pull is PULL_NEVER */
        const Listener *listener; /* told of steps, and of lines that programs print */
} ImageFetch;

/* Fetches the image if @pull says so, and holds it as generation_hold_reference() does. If several ask at the same time,
 * one fetches and the others wait for it. Then removes the least recently used images that no job uses until the rest is
 * within image_cache_size. Returns
 *      0
 *      > 0             as source_fill(): a program failed, which said why by on_line
 *      -ENOENT         it is not here, and @pull is PULL_NEVER
 *      -EINVAL         with @reterr_problem
 *      -EDQUOT         it takes up more than image_cache_size by itself
 *      -ECANCELED
 *      another -errno, with @reterr_problem where the error alone does not say it
 * After a failure, what was fetched before is still there. */
int image_cache_get(const ImageFetch *fetch, Image **ret, Problem *reterr_problem);

/* generation_hold_reference() for an image that was fetched before. */
int image_cache_hold(const char *root_dir, const char *reference, Image **ret);

/* The directory of the images, to be freed: for gc and lists. 0 or -ENOMEM. */
int image_cache_root(const char *root_dir, char **ret);

/* Removes all that no job uses; with @dry_run it only looks. Appends the names that they have in the directory to @names. 0, or
 * the first -errno with the others removed. */
int image_cache_remove_unused(const char *root_dir, bool dry_run, char ***names);

/* The disk is short of room: removes images that no job uses, but not @spare (a reference, or NULL), the least recently used
 * first, until @enough says that it will do, which is told how much was removed. 0 or -ENOMEM. */
int image_cache_give_way(const char *root_dir, const char *spare,
                         bool (*enough)(void *userdata, uint64_t removed_bytes), void *userdata);
