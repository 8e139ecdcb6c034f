/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"
#include "image/image.h"

/* Images by the names that jobs and administrators write: images of this host, and images of registries. */

/* Whether @name stands for an image of a registry. With the setting default_registry, so does a name without a registry
 * that stands for neither an image nor a definition of this host. Returns 1 with the reference in @ret, to be freed; 0 if
 * it stands for an image of this host, or no image can have that name; or -ENOMEM. */
int named_image_reference(const Settings *settings, const char *name, char **ret);

/* Holds the image of that name as generation_hold_reference() does. One of a registry must have been fetched before:
 * -ENOENT if not. Returns what that function returns. */
int named_image_hold(const Settings *settings, const char *name, Image **ret);
