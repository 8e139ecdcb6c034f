/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "definition/definition.h"
#include "image/generation.h"

/* Decides what to do with an image, from what is known of it and what its definition says. This asks no source, so for
 * an image of a registry or an archive the answer is always that the source must be asked. */
typedef struct Decision {
        const Definition *definition;
        const Generation *known; /* what is known of the current image; NULL: there is no image */
        const Image *base;       /* SOURCE_FROM: the image to copy */
        const char *description; /* of the source that the definition names; NULL: it names none */
} Decision;

/* Must the image be made anew from its source, or must the source at least be asked? Returns 0 with the answer in *ret,
 * or -errno. */
int decide_from_source(const Decision *decision, bool *ret);

/* Is there something to do in a copy of the current tree? */
bool decide_can_be_updated(const Definition *definition);

/* Identifies the current tree of an image that another image is made from, as "NAME@3" and the time when generation 3
 * was made: numbers begin anew after an image was removed. *ret is to be freed. 0 or -errno. */
int decide_base_digest(const Image *base, char **ret);
