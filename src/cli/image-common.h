/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "config/settings.h"
#include "image/image.h"

/* What the commands that are given an image by an administrator share. They log what goes wrong. */

/* Tells the names of the images there are. */
void log_available_images(const Settings *settings);

/* image_open(), with the reason logged. 0 or -errno. */
int open_image_logged(const Settings *settings, const char *name, Image **ret);
