/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Why a name from outside cannot be an image's: NULL when it can. Names are not empty, at most 128 bytes, printable,
 * without '/', and do not start with '.' or '-'. The text completes "image name 'X' ...". */
const char *image_name_problem(const char *name);
