/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"
#include "image/image.h"

/* Opens the image that `helper_image: auto` means: one called "helper", else @default_image if it has all that is
 * needed. *ret holds it. 0; -ENOENT: there is neither; or -errno. */
int helper_image_find(const Settings *settings, const char *default_image, Image **ret);
