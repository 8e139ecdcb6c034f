/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds the image that `helper_image: auto` means, for jobs and for `doctor`. It must never fetch one. */

#include "maintain/helper-image.h"

#include "base/string.h"
#include "image/contents.h"
#include "image/generation.h"
#include "maintain/named-image.h"

int helper_image_find(const Settings *settings, const char *default_image, Image **ret) {
        _cleanup_image_ Image *image = NULL;
        const char *lack;

        /* Only images that are here already: none is fetched because it might be useful. The helper image is one of this host
         * in any case: jobs can have images of default_registry fetched, and this one is for all jobs. */
        int r = generation_hold_reference(settings->root_dir, HELPER_IMAGE, ret);
        if (r != -ENOENT || !default_image)
                return r;
        r = named_image_hold(settings, default_image, &image);
        if (r < 0)
                return r == -EINVAL ? -ENOENT : r;
        r = image_lacks(image->fd, NULL, &lack);
        if (r < 0 || lack)
                return r < 0 ? r : -ENOENT;
        *ret = TAKE_PTR(image);
        return 0;
}
