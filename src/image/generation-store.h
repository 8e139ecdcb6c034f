/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "image/generation.h"

/* The directory of an image's generations, for those who change it: they hold the image's staging lock
 * (image/staging.h). */
typedef struct GenerationStore {
        const char *root_dir, *name; /* borrowed, as is images_fd */
        int images_fd;
        int generations_fd; /* `.generations/<name>` */
        int current_fd;     /* negative: there is no current tree */
        uint64_t current;   /* its number */
        uint64_t highest;   /* of all numbers that were ever used, as far as we know */
} GenerationStore;

#define GENERATION_STORE_NONE                                   \
        (GenerationStore) {                                     \
                .generations_fd = -EBADF, .current_fd = -EBADF, \
        }

/* Of image @name in @root_dir, which is open as @images_fd. With @create the directory is made; without, -ENOENT where
 * it is missing. 0 or -errno. */
int generation_store_open(const char *root_dir, const char *name, int images_fd, bool create, GenerationStore *ret);

void generation_store_done(GenerationStore *store);
#define _cleanup_generation_store_ _cleanup_(generation_store_done)

/* Calls @visit with each `<number>` (@json: `<number>.json`). It may remove the entry. Stops at the first negative
 * return value, which is returned, as is -errno; else 0. */
int generation_store_for_each(GenerationStore *store, int (*visit)(GenerationStore *store, uint64_t number, bool json));

/* Is there a tree of that number among the old ones, and not only a name for it? */
bool generation_store_has_old(const GenerationStore *store, uint64_t number);

/* Gives the current tree a number if it has none, or that of another tree (whose copy it then is). 0 or -errno. */
int generation_store_adopt_current(GenerationStore *store);

/* Makes the place that the current tree will go to, so that the rename has room there even on a full disk. 0 or
 * -errno. */
int generation_store_reserve_place(const GenerationStore *store);

/* What a tree of that number is called among the old ones. */
typedef struct GenerationNumberText {
        char text[24];
} GenerationNumberText;

GenerationNumberText generation_number_text(uint64_t number);

/* Lets the tree with top directory @tree_fd bear that number. 0 or -errno. */
int generation_set_number(int tree_fd, uint64_t number);
