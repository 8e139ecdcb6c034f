/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Removes old generations. Called after a publish or a removal, by `gc` and by chroot-maintenance. It must never remove
 * the current tree, a tree that a job has locked, or one of those that the definition wants to keep. */

#include "image/generation-collect.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "image/generation-json.h"
#include "image/generation-store.h"
#include "image/lock.h"
#include "tree/subvolume.h"

typedef struct Candidate {
        uint64_t number, published_usec;
} Candidate;

/* Sorts generations: the one that was current most recently comes first. */
static int compare_candidates(const void *a, const void *b) {
        const Candidate *x = a, *y = b;

        if (x->published_usec != y->published_usec)
                return x->published_usec > y->published_usec ? -1 : 1;
        return x->number > y->number ? -1 : x->number < y->number;
}

static int list_candidates(const GenerationStore *store, Candidate **ret, size_t *ret_n) {
        _cleanup_free_ uint64_t *numbers = NULL;
        _cleanup_free_ Candidate *candidates = NULL;
        size_t n;

        int r = generation_list_old(store->root_dir, store->name, &numbers, &n);
        if (r < 0)
                return r;
        candidates = calloc(n + 1, sizeof(*candidates));
        if (!candidates)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                _cleanup_generation_ Generation *generation = NULL;

                r = generation_load_at(store->generations_fd, numbers[i], &generation);
                if (r < 0 && r != -ENOENT && r != -EBADMSG)
                        return r;
                candidates[i] = (Candidate){ numbers[i], r == 0 ? generation->published_usec : 0 };
        }
        SORT(candidates, n, compare_candidates);
        *ret = TAKE_PTR(candidates);
        *ret_n = n;
        return 0;
}

/* Tells how many trees are kept beside the current one. 0 or -errno: a record that cannot be read may ask for more than
 * the default. */
static int old_to_keep(const GenerationStore *store, size_t *ret) {
        _cleanup_generation_ Generation *generation = NULL;
        uint64_t keep = GENERATIONS_KEPT;

        if (store->current_fd < 0) {
                *ret = 0;
                return 0;
        }
        int r = generation_load_at(store->generations_fd, store->current, &generation);
        if (r < 0 && r != -ENOENT)
                return r;
        if (r == 0 && generation->keep != 0)
                keep = generation->keep;
        *ret = (size_t) (keep - 1);
        return 0;
}

/* Removes old generation @number, or with @dry_run only looks. Returns 1: it was, or would be, removed; 0: the tree is
 * in use; or -errno. */
static int remove_generation(const GenerationStore *store, uint64_t number, int lock_fd, bool dry_run) {
        GenerationNumberText name = generation_number_text(number);
        char dead[32];

        _cleanup_close_ int tree_fd = open_directory_at(store->generations_fd, name.text, false, 0);
        if (tree_fd < 0)
                return tree_fd == -ENOENT ? 0 : tree_fd;
        int r = image_lock_exclusive(tree_fd);
        if (r < 0)
                return r == -EBUSY ? 0 : r;
        if (dry_run)
                return 1;
        /* Moved out of sight first: a half-removed tree must not count as a generation. */
        snprintf(dead, sizeof(dead), "old-%s", name.text);
        if (renameat(store->generations_fd, name.text, lock_fd, dead) < 0)
                return -errno;
        /* The file of the highest number stays, so that the number is not used again. */
        if (number != store->highest)
                (void) unlinkat(store->generations_fd, generation_json_name(number).text, 0);
        r = btrfs_subvolume_remove(lock_fd, dead);
        return r < 0 ? r : 1;
}

/* Removes the generations that need not be kept, or with @dry_run only looks. 0 or -errno: the first failure; the others
 * are removed. */
static int remove_old(const GenerationStore *store, int lock_fd, bool dry_run, char ***names) {
        _cleanup_free_ Candidate *candidates = NULL;
        size_t n, keep;
        int result = 0;

        int r = list_candidates(store, &candidates, &n);
        if (r < 0)
                return r;
        r = old_to_keep(store, &keep);
        if (r < 0)
                return r;
        for (size_t i = keep; i < n; i++) {
                r = remove_generation(store, candidates[i].number, lock_fd, dry_run);
                if (r > 0 && names)
                        r = strv_extendf(names, "%s@%" PRIu64, store->name, candidates[i].number);
                if (r < 0 && result == 0)
                        result = r;
        }
        return result;
}

static int remove_orphan(GenerationStore *store, uint64_t number, bool json) {
        GenerationNumberText tree = generation_number_text(number);

        /* An image without any tree may use its numbers again without confusion. */
        if (json && number != store->current && (number != store->highest || store->current_fd < 0) &&
            !exists_at(store->generations_fd, tree.text))
                (void) unlinkat(store->generations_fd, generation_json_name(number).text, 0);
        return 0;
}

static int collect(const Staging *staging, const char *root_dir, const char *name, int images_fd, bool dry_run,
                   char ***names) {
        _cleanup_generation_store_ GenerationStore store = GENERATION_STORE_NONE;
        int result = dry_run ? 0 : staging_settle(staging);

        int r = generation_store_open(root_dir, name, images_fd, false, &store);
        if (r == -ENOENT)
                return result;
        if (r < 0)
                return r;
        r = remove_old(&store, dry_run ? -EBADF : staging->lock_fd, dry_run, names);
        if (r < 0 && result == 0)
                result = r;
        if (dry_run)
                return result;
        r = generation_store_for_each(&store, remove_orphan);
        if (store.current_fd < 0) {
                _cleanup_close_ int parent_fd = open_directory_at(images_fd, GENERATIONS_DIRECTORY, false, 0);
                (void) unlinkat(parent_fd, name, AT_REMOVEDIR); /* fails, as it should, if something is left */
        }
        return result < 0 ? result : r;
}

int generations_collect_locked(const Staging *staging, char ***names) {
        return collect(staging, staging->root_dir, staging->name, staging->images_fd, false, names);
}

static int collect_image(const char *root_dir, const char *name, int images_fd, bool dry_run, char ***names) {
        _cleanup_staging_ Staging staging = STAGING_NONE;

        if (dry_run)
                return collect(NULL, root_dir, name, images_fd, true, names);
        int r = staging_try_lock(root_dir, name, &staging);
        if (r < 0)
                return r == -EBUSY ? 0 : r;
        r = generations_collect_locked(&staging, names);
        int q = staging_discard(&staging);
        return r < 0 ? r : q;
}

int generations_collect(const char *root_dir, bool dry_run, char ***names) {
        _cleanup_free_ char *path = NULL;
        int result = 0;

        int r = string_printf(&path, "%s/" GENERATIONS_DIRECTORY, root_dir);
        if (r < 0)
                return r;
        _cleanup_close_ int images_fd = open(root_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_closedir_ DIR *dir = images_fd < 0 ? NULL : opendir(path);
        if (!dir)
                return errno == ENOENT ? 0 : -errno;
        for (;;) {
                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return errno != 0 ? -errno : result;
                if (image_name_problem(entry->d_name))
                        continue;
                r = collect_image(root_dir, entry->d_name, images_fd, dry_run, names);
                if (r < 0 && result == 0)
                        result = r;
        }
}

static int remove_one(const Staging *staging, uint64_t number) {
        _cleanup_generation_store_ GenerationStore store = GENERATION_STORE_NONE;

        int r = generation_store_open(staging->root_dir, staging->name, staging->images_fd, false, &store);
        if (r < 0)
                return r;
        if (store.current_fd >= 0 && store.current == number)
                return -EALREADY;
        if (!generation_store_has_old(&store, number))
                return -ENOENT;
        r = remove_generation(&store, number, staging->lock_fd, false);
        return r < 0 ? r : r > 0 ? 0 : GENERATION_IN_USE;
}

int generation_remove(const char *root_dir, const char *name, uint64_t number, Turn *turn) {
        _cleanup_staging_ Staging staging = STAGING_NONE;

        int r = staging_lock(root_dir, name, turn, &staging);
        if (r < 0)
                return r;
        r = remove_one(&staging, number);
        int q = staging_discard(&staging);
        return r < 0 || q >= 0 ? r : q;
}
