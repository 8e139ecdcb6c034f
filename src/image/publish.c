/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Changes which tree is an image's current one: publish, roll back, remove. Called by the commands that change images,
 * by maintenance and by the cache of registries' images. Running jobs must not notice: they keep the tree that they
 * have. A crash at any point must leave the old tree or the new one, whole. */

#include "image/publish.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "image/generation-collect.h"
#include "image/generation-json.h"
#include "image/generation-store.h"
#include "tree/check.h"

/* Exchanges @name in @fd with the image's current tree. */
static int exchange(const Staging *staging, int fd, const char *name, Problem *reterr_problem) {
        if (renameat2(fd, name, staging->images_fd, staging->name, RENAME_EXCHANGE) >= 0)
                return 0;
        if (errno == EINVAL || errno == ENOSYS)
                return problem_set(reterr_problem, -errno,
                                   "the file system of '%s' cannot exchange two directories in one step: move root_dir "
                                   "to one that can, such as ext4, XFS or btrfs",
                                   staging->root_dir);
        if (errno == EBUSY)
                return problem_set(reterr_problem, -errno,
                                   "its directory is a mount point and cannot be replaced: unmount it first");
        return -errno;
}

static int fail_taken(Problem *reterr_problem) {
        return problem_set(reterr_problem, -EEXIST, "something else has its name by now");
}

static int publish_first(const Staging *staging) {
        if (renameat2(staging->lock_fd, STAGING_TREE, staging->images_fd, staging->name, RENAME_NOREPLACE) >= 0)
                return 0;
        if (errno != EINVAL)
                return -errno;

        /* The file system lacks RENAME_NOREPLACE. Other processes that make this image are locked out, and renameat()
         * itself refuses to replace a directory that is not empty. */
        if (exists_at(staging->images_fd, staging->name))
                return -EEXIST;
        return renameat(staging->lock_fd, STAGING_TREE, staging->images_fd, staging->name) < 0 ? -errno : 0;
}

/* Publishes the next generation of an image that exists. The old tree comes into the staging directory, and then to its
 * place. */
static int publish_next(const Staging *staging, GenerationStore *store, Problem *reterr_problem) {
        GenerationNumberText number = generation_number_text(store->current);

        int r = exchange(staging, staging->lock_fd, STAGING_TREE, reterr_problem);
        if (r < 0)
                return r;
        /* A failure here does no harm: the image is published, and staging_settle() moves the old tree later. The disk has
         * not to be waited for in between: file systems write renames in their order, and after a power failure between
         * the two there is the same to settle. */
        (void) renameat(staging->lock_fd, STAGING_TREE, store->generations_fd, number.text);
        (void) fsync(staging->images_fd);
        return 0;
}

/* Checks the tree again: programs that worked in it since it was made may have changed it. */
static int check_staging_tree(const Staging *staging, Problem *reterr_problem) {
        _cleanup_close_ int tree_fd = staging_tree(staging);
        Problem problem = { 0 };

        int r = tree_fd < 0 ? tree_fd : tree_check(tree_fd, NULL, &problem);
        if (r == TREE_REFUSED)
                return problem_set(reterr_problem, -EUCLEAN, "no image can be made of its tree: %s", problem.text);
        return r;
}

static int publish_prepared(const Staging *staging, GenerationStore *store, uint64_t number, Problem *reterr_problem) {
        _cleanup_close_ int tree_fd = staging_tree(staging);
        if (tree_fd < 0)
                return tree_fd;

        int r = generation_set_number(tree_fd, number);
        if (r < 0)
                return r;
        if (store->current_fd >= 0)
                r = generation_store_reserve_place(store);
        if (r < 0)
                return r;
        /* Write to disk before the name changes: after a power failure the image must be whole, either the old tree or
         * the new one. */
        if (syncfs(staging->lock_fd) < 0)
                return -errno;
        if (store->current_fd >= 0)
                return publish_next(staging, store, reterr_problem);
        r = publish_first(staging);
        if (r == -EEXIST)
                return fail_taken(reterr_problem);
        if (r < 0)
                return r;
        (void) fsync(staging->images_fd);
        return 0;
}

/* Sets @keep to the number of generations that the current one has in its record, if there is one that can be
 * understood. 0 or -errno. */
static int keep_as_now(const GenerationStore *store, uint64_t *keep) {
        _cleanup_generation_ Generation *current = NULL;

        int r = generation_load_at(store->generations_fd, store->current, &current);
        if (r == -ENOENT || r == -EBADMSG)
                return 0;
        if (r == 0)
                *keep = current->keep;
        return r;
}

int publish(Staging *staging, const Generation *about, uint64_t *ret_number, Problem *reterr_problem) {
        _cleanup_generation_store_ GenerationStore store = GENERATION_STORE_NONE;
        uint64_t now = clock_realtime_usec();

        if (staging->new_image && exists_at(staging->images_fd, staging->name))
                return fail_taken(reterr_problem);
        int r = check_staging_tree(staging, reterr_problem);
        if (r < 0)
                return r;
        r = generation_store_open(staging->root_dir, staging->name, staging->images_fd, true, &store);
        if (r < 0)
                return r;
        if (store.current_fd >= 0)
                r = generation_store_adopt_current(&store);
        if (r < 0)
                return r;

        Generation generation = about ? *about : (Generation){ 0 };
        generation.number = store.highest + 1;
        generation.published_usec = MAX(now, clock_realtime_usec());
        if (generation.keep == 0)
                r = keep_as_now(&store, &generation.keep);
        if (r < 0)
                return r;
        if (generation.created_usec == 0)
                generation.created_usec = now;
        if (generation.updated_usec == 0)
                generation.updated_usec = now;
        r = generation_save_at(store.generations_fd, &generation);
        if (r == 0)
                r = publish_prepared(staging, &store, generation.number, reterr_problem);
        if (r < 0) {
                GenerationNumberText place = generation_number_text(store.current);

                (void) unlinkat(store.generations_fd, generation_json_name(generation.number).text, 0);
                (void) unlinkat(store.generations_fd, place.text, AT_REMOVEDIR);
                return r;
        }
        if (ret_number)
                *ret_number = generation.number;
        return 0;
}

/* Opens the record of the current generation. */
static int open_current(const Staging *staging, GenerationStore *ret_store, Generation **ret) {
        int r = generation_store_open(staging->root_dir, staging->name, staging->images_fd, false, ret_store);
        return r < 0 ? r : generation_load_at(ret_store->generations_fd, ret_store->current, ret);
}

int publish_keep(const Staging *staging, uint64_t keep) {
        _cleanup_generation_store_ GenerationStore store = GENERATION_STORE_NONE;
        _cleanup_generation_ Generation *generation = NULL;

        int r = open_current(staging, &store, &generation);
        if (r < 0)
                return r;
        generation->keep = keep;
        return generation_save_at(store.generations_fd, generation);
}

int publish_asked(const Staging *staging, uint64_t asked_usec) {
        _cleanup_generation_store_ GenerationStore store = GENERATION_STORE_NONE;
        _cleanup_generation_ Generation *generation = NULL;

        int r = open_current(staging, &store, &generation);
        if (r < 0)
                return r;
        generation->asked_usec = asked_usec;
        return generation_save_at(store.generations_fd, generation);
}

/* Going back */

/* Notes that generation @number is about to become the current one. It gets the present number of generations to keep,
 * because its own may be from an old definition. */
static int note_publication(const GenerationStore *store, uint64_t number) {
        _cleanup_generation_ Generation *generation = NULL;
        Generation unknown = { .number = number };

        int r = generation_load_at(store->generations_fd, number, &generation);
        if (r < 0 && r != -ENOENT && r != -EBADMSG)
                return r;
        Generation *about = r < 0 ? &unknown : generation;
        r = keep_as_now(store, &about->keep);
        if (r < 0)
                return r;
        about->published_usec = clock_realtime_usec();
        return generation_save_at(store->generations_fd, about);
}

/* Exchanges generation @number with the current one. */
static int take_place(const Staging *staging, const GenerationStore *store, uint64_t number, Problem *reterr_problem) {
        GenerationNumberText target = generation_number_text(number);

        int r = note_publication(store, number);
        if (r < 0)
                return r;
        r = generation_store_reserve_place(store);
        if (r < 0)
                return r;
        if (syncfs(store->generations_fd) < 0)
                return -errno;
        return exchange(staging, store->generations_fd, target.text, reterr_problem);
}

static int rollback_locked(const Staging *staging, uint64_t number, uint64_t *ret_number, Problem *reterr_problem) {
        _cleanup_generation_store_ GenerationStore store = GENERATION_STORE_NONE;

        int r = staging_settle(staging);
        if (r < 0)
                return r;
        r = generation_store_open(staging->root_dir, staging->name, staging->images_fd, false, &store);
        if (r < 0)
                return r;
        if (store.current_fd < 0)
                return -ENOENT;
        r = generation_store_adopt_current(&store);
        if (r < 0)
                return r;
        if (number == 0)
                r = generation_previous(staging->root_dir, staging->name, store.current, &number);
        if (r < 0)
                return r;
        if (number == store.current)
                return -EALREADY;

        GenerationNumberText target = generation_number_text(number), place = generation_number_text(store.current);
        if (!generation_store_has_old(&store, number))
                return -ENOENT;
        r = take_place(staging, &store, number, reterr_problem);
        if (r < 0) {
                (void) unlinkat(store.generations_fd, place.text, AT_REMOVEDIR);
                return r;
        }
        /* As in publish_next(), a failure does no harm. */
        (void) renameat(store.generations_fd, target.text, store.generations_fd, place.text);
        (void) fsync(store.images_fd);
        *ret_number = number;
        return 0;
}

int publish_rollback(const char *root_dir, const char *name, uint64_t number, Turn *turn, uint64_t *ret_number,
                     Problem *reterr_problem) {
        _cleanup_staging_ Staging staging = STAGING_NONE;
        uint64_t unwanted;

        int r = staging_lock(root_dir, name, turn, &staging);
        if (r < 0)
                return r;
        r = rollback_locked(&staging, number, ret_number ? ret_number : &unwanted, reterr_problem);
        int q = staging_discard(&staging);
        return r < 0 ? r : q;
}

/* Taking away */

static int check_removable(const char *root_dir, int images_fd, const char *name) {
        _cleanup_free_ uint64_t *numbers = NULL;
        size_t n = 0;

        int r = image_recognize(images_fd, name);
        if (r != -ENOENT)
                return r;
        r = generation_list_old(root_dir, name, &numbers, &n);
        return r < 0 ? r : n > 0 ? 0 : -ENOENT;
}

int publish_removable(const char *root_dir, const char *name) {
        _cleanup_close_ int images_fd = open(root_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (image_name_problem(name))
                return -EINVAL;
        return images_fd < 0 ? -errno : check_removable(root_dir, images_fd, name);
}

/* Moves the current tree to the old generations. */
static int retire_current(GenerationStore *store) {
        int r = generation_store_adopt_current(store);
        if (r < 0)
                return r;
        r = generation_store_reserve_place(store);
        if (r < 0)
                return r;

        GenerationNumberText place = generation_number_text(store->current);
        if (renameat(store->images_fd, store->name, store->generations_fd, place.text) >= 0)
                return 0;
        r = errno == EBUSY ? -EXDEV : -errno;
        (void) unlinkat(store->generations_fd, place.text, AT_REMOVEDIR);
        return r;
}

static int remove_locked(const Staging *staging, unsigned *ret_in_use) {
        _cleanup_generation_store_ GenerationStore store = GENERATION_STORE_NONE;
        _cleanup_free_ uint64_t *numbers = NULL;
        size_t n = 0;

        int r = check_removable(staging->root_dir, staging->images_fd, staging->name);
        if (r < 0)
                return r;
        r = generation_store_open(staging->root_dir, staging->name, staging->images_fd, true, &store);
        if (r < 0)
                return r;
        if (store.current_fd >= 0)
                r = retire_current(&store);
        if (r < 0)
                return r;
        r = generations_collect_locked(staging, NULL);
        int q = generation_list_old(staging->root_dir, staging->name, &numbers, &n);
        if (r < 0 || q < 0)
                return r < 0 ? r : q;
        *ret_in_use = (unsigned) n;
        return 0;
}

int publish_remove(const char *root_dir, const char *name, Turn *turn, unsigned *ret_in_use) {
        _cleanup_staging_ Staging staging = STAGING_NONE;

        int r = staging_lock(root_dir, name, turn, &staging);
        if (r < 0)
                return r;
        r = remove_locked(&staging, ret_in_use);
        int q = staging_discard(&staging);
        return r < 0 ? r : q;
}
