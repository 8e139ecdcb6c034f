/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds out what the name of an image stands for: an image of this host, or one of a registry. `prepare` asks for jobs and
 * services, other commands for what the administrator named. It must never fetch an image. */

#include "maintain/named-image.h"

#include <string.h>

#include "config/image-reference.h"
#include "definition/definition.h"
#include "image/generation.h"
#include "maintain/image-cache.h"

/* An image that cannot be opened is one of this host's all the same: the job is told what is wrong with it. */
static bool is_of_this_host(const Settings *settings, const char *name) {
        _cleanup_image_ Image *image = NULL;
        _cleanup_free_ char *path = NULL;

        return generation_open_reference(settings->root_dir, name, &image) != -ENOENT ||
               definition_find(settings, name, &path, NULL) != -ENOENT;
}

int named_image_reference(const Settings *settings, const char *name, char **ret) {
        if (image_reference_is(name)) {
                *ret = strdup(name);
                return *ret ? 1 : -ENOMEM;
        }
        if (!settings->default_registry)
                return 0;
        _cleanup_free_ char *reference = image_reference_complete(settings->default_registry, name);
        if (!reference)
                return -ENOMEM;
        /* Images of this host have no '/' in their names. */
        if (image_reference_problem(reference) || (!strchr(name, '/') && is_of_this_host(settings, name)))
                return 0;
        *ret = TAKE_PTR(reference);
        return 1;
}

int named_image_hold(const Settings *settings, const char *name, Image **ret) {
        _cleanup_free_ char *reference = NULL;

        int r = named_image_reference(settings, name, &reference);
        if (r < 0)
                return r;
        return reference ? image_cache_hold(settings->root_dir, reference, ret) :
                           generation_hold_reference(settings->root_dir, name, ret);
}
