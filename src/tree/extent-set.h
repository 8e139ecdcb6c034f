/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Extents of a disk, in bytes, each of which counts once however often it comes. Jobs decide how many there are: no more are
 * known than in 64 MB. */
#define EXTENT_SET_MAX ((size_t) 4 * 1024 * 1024)

typedef struct Extent {
        uint64_t start, end;
} Extent;

typedef struct ExtentSet {
        Extent *items; /* in no order */
        size_t n, allocated;
        size_t max; /* how many there may be, also when those that touch are one; 0: EXTENT_SET_MAX */
        bool full;  /* there are */
} ExtentSet;

void extent_set_done(ExtentSet *set);

/* Adds an extent. 1; 0: there are too many, also if it is known already; or -ENOMEM, with the set as it was. */
int extent_set_add(ExtentSet *set, uint64_t start, uint64_t length);

/* Returns the bytes of all together. Reorders @set->items. */
uint64_t extent_set_bytes(ExtentSet *set);
