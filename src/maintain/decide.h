/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "definition/definition.h"
#include "image/generation.h"

/* What to do with an image, by what is known of it and what its definition says. This asks no source: an image of a registry
 * or an archive always has to be asked for. */
typedef struct Decision {
        const Definition *definition;
        const Generation *known; /* about the present image; NULL: there is none */
        const Image *base;       /* SOURCE_FROM: the image to copy */
        const char *description; /* of the source that the definition names; NULL: none */
} Decision;

/* Must the image be made anew from its source, or at least the source be asked? 0 or -errno. */
int decide_from_source(const Decision *decision, bool *ret);

/* Is there something to do in a copy of the current tree? */
bool decide_can_be_updated(const Definition *definition);

/* Identifies the present state of an image that another one is made from: "NAME@3" and the time when that was made, because
 * numbers begin anew after an image was removed. *ret is to be freed. 0 or -errno. */
int decide_base_digest(const Image *base, char **ret);
