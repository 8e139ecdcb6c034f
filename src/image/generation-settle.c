/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Completes or undoes a publish or a rollback that was killed half way. Called with the image's staging lock held,
 * before anything else is done to the image. It can itself be killed at any step and called again, so no step may lose
 * a tree. */

#include "image/generation-settle.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "image/generation-json.h"
#include "image/generation-store.h"
#include "image/rename-settle.h"

/* Settles a directory whose tree does not have the number that is its name: a tree that a rollback exchanged, or an
 * empty directory that was reserved. */
static int settle_name(GenerationStore *store, uint64_t number, bool json) {
        GenerationNumberText name = generation_number_text(number);

        if (json)
                return 0;
        _cleanup_close_ int fd = open_directory_at(store->generations_fd, name.text, false, 0);
        if (fd < 0)
                return 0;
        uint64_t own = image_generation(fd);
        if (own == number)
                return 0;
        if (own == 0) {
                (void) unlinkat(store->generations_fd, name.text, AT_REMOVEDIR);
                return 0;
        }
        GenerationNumberText right = generation_number_text(own);
        if (renameat(store->generations_fd, name.text, store->generations_fd, right.text) < 0 && errno != ENOTEMPTY &&
            errno != EEXIST)
                return -errno;
        return 0;
}

/* Settles the tree in the staging directory. If its number is lower than the current one, it was current until a
 * publish; if it is higher, it was never published. */
static int settle_staged(const GenerationStore *store, int staging_fd, const char *tree) {
        _cleanup_close_ int tree_fd = open_directory_at(staging_fd, tree, false, 0);
        uint64_t number = tree_fd < 0 ? 0 : image_generation(tree_fd);
        if (number == 0 || number >= store->current ||
            !exists_at(store->generations_fd, generation_json_name(number).text))
                return 0;
        GenerationNumberText place = generation_number_text(number);
        if (renameat(staging_fd, tree, store->generations_fd, place.text) < 0 && errno != ENOTEMPTY && errno != EEXIST)
                return -errno;
        return 0;
}

int generations_settle(const char *root_dir, const char *name, int images_fd, int staging_fd, const char *tree) {
        _cleanup_generation_store_ GenerationStore store = GENERATION_STORE_NONE;

        image_rename_settle(name, images_fd, staging_fd);
        int r = generation_store_open(root_dir, name, images_fd, false, &store);
        if (r < 0)
                return r == -ENOENT || r == -ENOTDIR ? 0 : r;
        /* The staging directory comes first, because a place may have been reserved for its tree. */
        r = settle_staged(&store, staging_fd, tree);
        return r < 0 ? r : generation_store_for_each(&store, settle_name);
}
