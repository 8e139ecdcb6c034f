/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds the image that `helper_image: auto` means, for jobs and for `doctor`. It must never fetch one. */

#include "maintain/helper-image.h"

#include "base/string.h"
#include "config/image-reference.h"
#include "image/contents.h"
#include "image/generation.h"
#include "maintain/image-cache.h"

/* Only an image that is here already: none is fetched because it might be useful. */
static int hold(const Settings *settings, const char *name, Image **ret) {
        return image_reference_is(name) ? image_cache_hold(settings->root_dir, name, ret) :
                                          generation_hold_reference(settings->root_dir, name, ret);
}

int helper_image_find(const Settings *settings, const char *default_image, Image **ret) {
        _cleanup_image_ Image *image = NULL;
        const char *lack;

        int r = hold(settings, HELPER_IMAGE, ret);
        if (r != -ENOENT || !default_image)
                return r;
        r = hold(settings, default_image, &image);
        if (r < 0)
                return r == -EINVAL ? -ENOENT : r;
        r = image_lacks(image->fd, NULL, &lack);
        if (r < 0 || lack)
                return r < 0 ? r : -ENOENT;
        *ret = TAKE_PTR(image);
        return 0;
}
