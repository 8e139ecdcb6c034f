/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Returns why @name, which may come from a job, cannot be the name of an image; NULL: it can. Names have 1 to 128 bytes
 * of printable ASCII without blanks and '/', and do not start with '.' or '-'. The text, which is static, completes
 * "image name 'X' ...". */
const char *image_name_problem(const char *name);

/* Is @name short enough for an image's? */
bool image_name_fits(const char *name);

/* The image in whose root GitLab's own stages run, if it exists and the setting helper_image names no other. */
#define HELPER_IMAGE "helper"
