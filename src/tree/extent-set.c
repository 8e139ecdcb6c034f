/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A set of extents that files share, for usage.c. It must not grow without end: a job can make any number of them. */

#include "tree/extent-set.h"

#include "base/string.h"

void extent_set_done(ExtentSet *set) {
        free(set->items);
        *set = (ExtentSet){ 0 };
}

static int compare(const void *a, const void *b) {
        const Extent *x = a, *y = b;

        return x->start < y->start ? -1 : x->start > y->start;
}

/* Sorts the extents, and makes one of those that touch. */
static void merge(ExtentSet *set) {
        size_t n = 0;

        SORT(set->items, set->n, compare);
        for (size_t i = 0; i < set->n; i++) {
                const Extent extent = set->items[i];

                if (n > 0 && extent.start <= set->items[n - 1].end)
                        set->items[n - 1].end = MAX(set->items[n - 1].end, extent.end);
                else
                        set->items[n++] = extent;
        }
        set->n = n;
}

/* Copies of a tree have the same extents again and again. If merging them makes hardly any room, it is not tried again: it
 * takes time. */
static bool has_room(ExtentSet *set) {
        size_t max = set->max > 0 ? set->max : EXTENT_SET_MAX;

        if (set->full || set->n < max)
                return !set->full;
        merge(set);
        set->full = set->n > max / 2;
        return !set->full;
}

int extent_set_add(ExtentSet *set, uint64_t start, uint64_t length) {
        if (!has_room(set))
                return 0;
        if (set->n == set->allocated) {
                size_t allocated = MAX(set->allocated * 2, (size_t) 1024);
                Extent *items = reallocarray(set->items, allocated, sizeof(*items));

                if (!items)
                        return -ENOMEM;
                set->items = items;
                set->allocated = allocated;
        }
        set->items[set->n++] = (Extent){ start, start + length };
        return 1;
}

uint64_t extent_set_bytes(ExtentSet *set) {
        uint64_t bytes = 0;

        merge(set);
        for (size_t i = 0; i < set->n; i++)
                bytes += set->items[i].end - set->items[i].start;
        return bytes;
}
