/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Why @name, which may come from a job, cannot be the name of an image; NULL: it can. Names have 1 to 128 bytes of printable
 * ASCII without blanks and '/', and do not start with '.' or '-'. The text, which is static, completes "image name
 * 'X' ...". */
const char *image_name_problem(const char *name);

/* The image whose root GitLab's own stages run in, where it is there and nobody chose another one (setting helper_image). */
#define HELPER_IMAGE "helper"
