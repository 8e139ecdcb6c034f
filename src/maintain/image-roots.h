/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* The directories of images: each is as <root_dir> itself is (image/generation.h, image/staging.h). */
typedef enum ImageRootId {
        IMAGE_ROOT_NAMED,      /* the administrator's */
        IMAGE_ROOT_REGISTRIES, /* image-cache.h */
        IMAGE_ROOT_KEPT,       /* kept-tree.h */
        IMAGE_ROOTS,
} ImageRootId;

#define IMAGE_CACHE_DIRECTORY ".oci"
#define KEPT_TREE_DIRECTORY ".kept"

typedef struct ImageRoot {
        const char *directory; /* below root_dir; "." for root_dir itself */
        bool is_reference;     /* names in it are made from references (image_reference_to_name()) */
} ImageRoot;

extern const ImageRoot image_roots[IMAGE_ROOTS];

/* The path of one of them, to be freed: 0 or -ENOMEM. */
int image_root_path(const char *root_dir, ImageRootId id, char **ret);

/* What can be left in each of them that nobody needs: what interrupted commands made, and what is beyond the number of
 * generations to keep. */
typedef enum ImageLeftoverId {
        IMAGE_HALF_MADE,
        IMAGE_OLD_GENERATIONS,
        IMAGE_LEFTOVERS,
} ImageLeftoverId;

typedef struct ImageLeftover {
        const char *name, *plural; /* for people */
        const char *directory;     /* in the directory of images */
        bool is_generation;        /* it is NAME@NUMBER, and NAME/NUMBER in @directory; otherwise NAME */
        /* Removes what no process uses, or with @dry_run only looks, in the directory of images @path. Appends names to
         * @names. 0, or the first -errno with the others removed. */
        int (*collect)(const char *path, bool dry_run, char ***names);
} ImageLeftover;

extern const ImageLeftover image_leftovers[IMAGE_LEFTOVERS];
