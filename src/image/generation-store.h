/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "image/generation.h"

/* The directory of an image's generations, for functions that change it. Their callers hold the image's staging lock
 * (image/staging.h). */
typedef struct GenerationStore {
        const char *root_dir, *name; /* borrowed, as is images_fd */
        int images_fd;
        int generations_fd; /* `.generations/<name>` */
        int current_fd;     /* negative: there is no current tree */
        uint64_t current;   /* its number */
        uint64_t highest;   /* highest number that is known to have been used */
} GenerationStore;

#define GENERATION_STORE_NONE                                   \
        (GenerationStore) {                                     \
                .generations_fd = -EBADF, .current_fd = -EBADF, \
        }

/* Opens the directory of image @name in @root_dir, which is open as @images_fd. If it is missing, makes it with
 * @create, else returns -ENOENT. 0 with @ret for generation_store_done(), or another -errno. */
int generation_store_open(const char *root_dir, const char *name, int images_fd, bool create, GenerationStore *ret);

void generation_store_done(GenerationStore *store);
#define _cleanup_generation_store_ _cleanup_(generation_store_done)

/* Calls @visit for each `<number>` and, with @json, for each `<number>.json`; @visit may remove the entry. If @visit
 * returns a negative value, stops and returns that value. 0 or -errno. */
int generation_store_for_each(GenerationStore *store, int (*visit)(GenerationStore *store, uint64_t number, bool json));

/* Does an old generation of that number exist, and not only an empty directory? */
bool generation_store_has_old(const GenerationStore *store, uint64_t number);

/* Gives the current tree a new number if it has none, or if it is a copy of another tree and has that tree's number. 0
 * or -errno. */
int generation_store_adopt_current(GenerationStore *store);

/* Makes the empty directory that the current tree will replace, so that the rename works even on a full disk. 0 or
 * -errno. */
int generation_store_reserve_place(const GenerationStore *store);

/* The name of a generation's tree in the directory of generations. */
typedef struct GenerationNumberText {
        char text[24];
} GenerationNumberText;

GenerationNumberText generation_number_text(uint64_t number);

/* Writes the number into the attribute of the tree with top directory @tree_fd. 0 or -errno. */
int generation_set_number(int tree_fd, uint64_t number);
