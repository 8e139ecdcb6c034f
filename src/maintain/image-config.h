/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "image/generation.h"
#include "source/source.h"

/* What the configuration of an OCI image says goes from its source to what is known of a generation, and from there to
 * the generation after it, and to images that are made from this one. */

/* Puts it into @about, without copying: it stays that of @source. */
void image_config_of_source(const SourceResult *source, Generation *about);
/* The same, of another generation. */
void image_config_of_known(const Generation *known, Generation *about);

/* Copies what is known of a generation to @ret, which has none yet. 0 or -ENOMEM, with some of it copied. */
int image_config_copy(const Generation *known, SourceResult *ret);
