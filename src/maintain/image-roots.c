/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The one list of the directories of images, and of what can be left in them. `gc`, `prune` and space.c remove that from
 * each of them, and `df` measures them. Nothing else may have a list of its own, or a new directory would be forgotten
 * there. */

#include "maintain/image-roots.h"

#include "base/string.h"
#include "image/generation-collect.h"
#include "image/generation.h"
#include "image/staging.h"

const ImageRoot image_roots[IMAGE_ROOTS] = {
        [IMAGE_ROOT_NAMED] = { .directory = "." },
        [IMAGE_ROOT_REGISTRIES] = { .directory = IMAGE_CACHE_DIRECTORY, .is_reference = true },
        [IMAGE_ROOT_KEPT] = { .directory = KEPT_TREE_DIRECTORY },
};

const ImageLeftover image_leftovers[IMAGE_LEFTOVERS] = {
        [IMAGE_HALF_MADE] = {
                .name = "half-made image",
                .plural = "half-made images",
                .directory = STAGING_DIRECTORY,
                .collect = staging_collect,
        },
        [IMAGE_OLD_GENERATIONS] = {
                .name = "old generation",
                .plural = "old generations of images",
                .directory = GENERATIONS_DIRECTORY,
                .is_generation = true,
                .collect = generations_collect,
        },
};

int image_root_path(const char *root_dir, ImageRootId id, char **ret) {
        /* Without "/.": people read it. */
        return id == IMAGE_ROOT_NAMED ? string_replace(ret, root_dir) :
                                        string_printf(ret, "%s/%s", root_dir, image_roots[id].directory);
}
