/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/publish.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "image/generation-json.h"
#include "image/lock.h"
#include "storage/subvolume.h"

/* An image while its generations are changed: somebody holds its staging lock. */
typedef struct Store {
        const char *root_dir, *name;
        int images_fd;
        int generations_fd; /* `.generations/<name>` */
        int current_fd;     /* negative: there is no current tree */
        uint64_t current;   /* its number */
        uint64_t highest;   /* of all numbers that were ever used, as far as we know */
} Store;

typedef struct NumberText {
        char text[24];
} NumberText;

static NumberText number_text(uint64_t number) {
        NumberText text;

        snprintf(text.text, sizeof(text.text), "%" PRIu64, number);
        return text;
}

static void store_done(Store *store) {
        closep(&store->generations_fd);
        closep(&store->current_fd);
}
#define _cleanup_store_ _cleanup_(store_done)

static bool is_there(int dir_fd, const char *name) {
        return faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) >= 0;
}

/* The number in `<number>` or `<number>.json`, 0 for any other name. */
static uint64_t number_of_name(const char *name, bool *ret_json) {
        char copy[32];
        uint64_t number;
        const char *suffix = endswith(name, ".json");
        size_t n = suffix ? (size_t) (suffix - name) : strlen(name);

        if (n >= sizeof(copy))
                return 0;
        memcpy(copy, name, n);
        copy[n] = 0;
        *ret_json = suffix;
        return parse_uint64(copy, &number) >= 0 && number <= INT64_MAX ? number : 0;
}

/* Calls @visit with each `<number>` (@json: `<number>.json`) of the generations. It may remove the entry. */
static int for_each_number(Store *store, int (*visit)(Store *store, uint64_t number, bool json)) {
        int dir_fd = openat(store->generations_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return -errno;
        _cleanup_closedir_ DIR *dir = directory_stream(dir_fd);
        if (!dir)
                return -errno;
        for (;;) {
                bool json;

                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                uint64_t number = number_of_name(entry->d_name, &json);
                int r = number == 0 ? 0 : visit(store, number, json);
                if (r < 0)
                        return r;
        }
}

static int note_highest(Store *store, uint64_t number, bool json _unused_) {
        store->highest = MAX(store->highest, number);
        return 0;
}

/* With @create the directory of the generations is made; without, -ENOENT where it is missing. */
static int store_open(const char *root_dir, const char *name, int images_fd, bool create, Store *ret) {
        _cleanup_store_ Store store = {
                .root_dir = root_dir,
                .name = name,
                .images_fd = images_fd,
                .generations_fd = -EBADF,
                .current_fd = -EBADF,
        };

        _cleanup_close_ int parent_fd = open_directory_at(images_fd, GENERATIONS_DIRECTORY, create, 0700);
        if (parent_fd < 0)
                return parent_fd;
        store.generations_fd = open_directory_at(parent_fd, name, create, 0700);
        if (store.generations_fd < 0)
                return store.generations_fd;
        store.current_fd = open_directory_at(images_fd, name, false, 0);
        if (store.current_fd < 0 && store.current_fd != -ENOENT)
                return store.current_fd;
        if (store.current_fd >= 0)
                store.current = generation_number(store.current_fd);
        store.highest = store.current;
        int r = for_each_number(&store, note_highest);
        if (r < 0)
                return r;
        *ret = store;
        store.generations_fd = store.current_fd = -EBADF;
        return 0;
}

static int set_number(int tree_fd, uint64_t number) {
        NumberText text = number_text(number);

        return fsetxattr(tree_fd, GENERATION_ATTRIBUTE, text.text, strlen(text.text), 0) < 0 ? -errno : 0;
}

/* Is there a tree of that number among the old ones, and not only a name for it? */
static bool has_old(const Store *store, uint64_t number) {
        NumberText name = number_text(number);
        _cleanup_close_ int fd = open_directory_at(store->generations_fd, name.text, false, 0);

        return fd >= 0 && generation_number(fd) == number;
}

/* Gives the current tree a number if it has none, or that of another tree (whose copy it then is). */
static int adopt_current(Store *store) {
        if (store->current != 0 && !has_old(store, store->current))
                return 0;
        Generation adopted = { .number = store->highest + 1, .published_usec = clock_realtime_usec() };
        int r = generation_save_at(store->generations_fd, &adopted);
        if (r >= 0)
                r = set_number(store->current_fd, adopted.number);
        if (r < 0)
                return r;
        store->current = store->highest = adopted.number;
        return 0;
}

/* The place that the current tree will go to, so that the rename has room there even on a full disk. */
static int reserve_place(const Store *store) {
        NumberText text = number_text(store->current);

        return mkdirat(store->generations_fd, text.text, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int exchange(int a_fd, const char *a, int b_fd, const char *b) {
        if (renameat2(a_fd, a, b_fd, b, RENAME_EXCHANGE) >= 0)
                return 0;
        /* EBUSY: something is mounted there. */
        return errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP : errno == EBUSY ? -EXDEV : -errno;
}

static int publish_first(const Staging *staging) {
        if (renameat2(staging->lock_fd, STAGING_TREE, staging->images_fd, staging->name, RENAME_NOREPLACE) >= 0)
                return 0;
        if (errno != EINVAL)
                return -errno;

        /* A file system without RENAME_NOREPLACE. Others who make this image are locked out; renameat() itself refuses
         * to replace a directory that is not empty. */
        if (is_there(staging->images_fd, staging->name))
                return -EEXIST;
        return renameat(staging->lock_fd, STAGING_TREE, staging->images_fd, staging->name) < 0 ? -errno : 0;
}

/* The old tree is in the staging directory then, and on its way to its place. */
static int publish_next(const Staging *staging, Store *store) {
        NumberText number = number_text(store->current);

        int r = exchange(staging->lock_fd, STAGING_TREE, staging->images_fd, staging->name);
        if (r < 0)
                return r;
        (void) fsync(staging->images_fd);
        /* Should this fail, it is not too late: it has been published, and generations_settle() tries again. */
        (void) renameat(staging->lock_fd, STAGING_TREE, store->generations_fd, number.text);
        return 0;
}

static int publish_prepared(const Staging *staging, Store *store, uint64_t number) {
        _cleanup_close_ int tree_fd = staging_tree(staging);
        if (tree_fd < 0)
                return tree_fd;

        int r = set_number(tree_fd, number);
        if (r >= 0 && store->current_fd >= 0)
                r = reserve_place(store);
        /* Before the name: after a power failure the image is there whole, the old one or the new. */
        if (r >= 0 && syncfs(staging->lock_fd) < 0)
                r = -errno;
        if (r < 0)
                return r;
        if (store->current_fd >= 0)
                return publish_next(staging, store);
        r = publish_first(staging);
        if (r >= 0)
                (void) fsync(staging->images_fd);
        return r;
}

int publish(Staging *staging, const Generation *about, uint64_t *ret_number) {
        _cleanup_store_ Store store = { .generations_fd = -EBADF, .current_fd = -EBADF };
        uint64_t now = clock_realtime_usec();

        if (staging->new_image && is_there(staging->images_fd, staging->name))
                return -EEXIST;
        int r = store_open(staging->root_dir, staging->name, staging->images_fd, true, &store);
        if (r >= 0 && store.current_fd >= 0)
                r = adopt_current(&store);
        if (r < 0)
                return r;

        Generation generation = about ? *about : (Generation){ 0 };
        generation.number = store.highest + 1;
        generation.published_usec = MAX(now, clock_realtime_usec());
        if (generation.created_usec == 0)
                generation.created_usec = now;
        if (generation.updated_usec == 0)
                generation.updated_usec = now;
        r = generation_save_at(store.generations_fd, &generation);
        if (r >= 0)
                r = publish_prepared(staging, &store, generation.number);
        if (r < 0) {
                NumberText place = number_text(store.current);
                char name[32];

                snprintf(name, sizeof(name), "%" PRIu64 ".json", generation.number);
                (void) unlinkat(store.generations_fd, name, 0);
                (void) unlinkat(store.generations_fd, place.text, AT_REMOVEDIR);
                return r;
        }
        if (ret_number)
                *ret_number = generation.number;
        return 0;
}

int publish_keep(const Staging *staging, uint64_t keep) {
        _cleanup_store_ Store store = { .generations_fd = -EBADF, .current_fd = -EBADF };
        _cleanup_generation_ Generation *generation = NULL;

        int r = store_open(staging->root_dir, staging->name, staging->images_fd, false, &store);
        if (r >= 0)
                r = generation_load_at(store.generations_fd, store.current, &generation);
        if (r < 0)
                return r;
        generation->keep = keep;
        return generation_save_at(store.generations_fd, generation);
}

/* What an interrupted change left */

/* A directory that does not bear the number it is called by: it is the tree that a rollback exchanged, or an empty place
 * that was reserved. */
static int settle_name(Store *store, uint64_t number, bool json) {
        NumberText name = number_text(number);

        if (json)
                return 0;
        _cleanup_close_ int fd = open_directory_at(store->generations_fd, name.text, false, 0);
        if (fd < 0)
                return 0;
        uint64_t own = generation_number(fd);
        if (own == number)
                return 0;
        if (own == 0) {
                (void) unlinkat(store->generations_fd, name.text, AT_REMOVEDIR);
                return 0;
        }
        NumberText right = number_text(own);
        if (renameat(store->generations_fd, name.text, store->generations_fd, right.text) < 0 && errno != ENOTEMPTY &&
            errno != EEXIST)
                return -errno;
        return 0;
}

/* A tree with a lower number than the current one's was that until a publish: others were never to be seen. */
static int settle_staging(const Staging *staging, const Store *store) {
        char json[32];

        _cleanup_close_ int tree_fd = staging_tree(staging);
        uint64_t number = tree_fd < 0 ? 0 : generation_number(tree_fd);
        snprintf(json, sizeof(json), "%" PRIu64 ".json", number);
        if (number == 0 || number >= store->current || !is_there(store->generations_fd, json))
                return 0;
        NumberText place = number_text(number);
        if (renameat(staging->lock_fd, STAGING_TREE, store->generations_fd, place.text) < 0 && errno != ENOTEMPTY &&
            errno != EEXIST)
                return -errno;
        return 0;
}

int generations_settle(const Staging *staging) {
        _cleanup_store_ Store store = { .generations_fd = -EBADF, .current_fd = -EBADF };

        int r = store_open(staging->root_dir, staging->name, staging->images_fd, false, &store);
        if (r < 0)
                return r == -ENOENT || r == -ENOTDIR ? 0 : r;
        /* First from the staging directory: its place may have been reserved. */
        r = settle_staging(staging, &store);
        return r < 0 ? r : for_each_number(&store, settle_name);
}

/* Going back */

static int note_publication(const Store *store, uint64_t number) {
        _cleanup_generation_ Generation *generation = NULL;
        Generation unknown = { .number = number };

        int r = generation_load_at(store->generations_fd, number, &generation);
        if (r < 0 && r != -ENOENT && r != -EBADMSG)
                return r;
        Generation *about = r < 0 ? &unknown : generation;
        about->published_usec = clock_realtime_usec();
        return generation_save_at(store->generations_fd, about);
}

static int rollback_locked(const Staging *staging, uint64_t number, uint64_t *ret_number) {
        _cleanup_store_ Store store = { .generations_fd = -EBADF, .current_fd = -EBADF };

        int r = generations_settle(staging);
        if (r >= 0)
                r = store_open(staging->root_dir, staging->name, staging->images_fd, false, &store);
        if (r < 0)
                return r;
        if (store.current_fd < 0)
                return -ENOENT;
        r = adopt_current(&store);
        if (r >= 0 && number == 0)
                r = generation_previous(staging->root_dir, staging->name, store.current, &number);
        if (r < 0)
                return r;
        if (number == store.current)
                return -EALREADY;

        NumberText target = number_text(number), place = number_text(store.current);
        if (!has_old(&store, number))
                return -ENOENT;
        r = note_publication(&store, number);
        if (r >= 0)
                r = reserve_place(&store);
        if (r >= 0 && syncfs(store.generations_fd) < 0)
                r = -errno;
        if (r >= 0)
                r = exchange(store.generations_fd, target.text, store.images_fd, store.name);
        if (r < 0) {
                (void) unlinkat(store.generations_fd, place.text, AT_REMOVEDIR);
                return r;
        }
        (void) fsync(store.images_fd);
        /* As in publish_next(): it is done. */
        (void) renameat(store.generations_fd, target.text, store.generations_fd, place.text);
        *ret_number = number;
        return 0;
}

int publish_rollback(const char *root_dir, const char *name, uint64_t number, uint64_t *ret_number) {
        _cleanup_staging_ Staging staging = STAGING_NONE;
        uint64_t unwanted;

        int r = staging_lock(root_dir, name, &staging);
        if (r < 0)
                return r;
        r = rollback_locked(&staging, number, ret_number ? ret_number : &unwanted);
        int q = staging_discard(&staging);
        return r < 0 ? r : q;
}

/* Collecting */

typedef struct Candidate {
        uint64_t number, published_usec;
} Candidate;

/* The last that were current first. */
static int compare_candidates(const void *a, const void *b) {
        const Candidate *x = a, *y = b;

        if (x->published_usec != y->published_usec)
                return x->published_usec > y->published_usec ? -1 : 1;
        return x->number > y->number ? -1 : x->number < y->number;
}

static int list_candidates(const Store *store, Candidate **ret, size_t *ret_n) {
        _cleanup_free_ uint64_t *numbers = NULL;
        size_t n;

        int r = generation_list_old(store->root_dir, store->name, &numbers, &n);
        if (r < 0)
                return r;
        Candidate *candidates = calloc(n + 1, sizeof(*candidates));
        if (!candidates)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                _cleanup_generation_ Generation *generation = NULL;

                candidates[i].number = numbers[i];
                if (generation_load_at(store->generations_fd, numbers[i], &generation) >= 0)
                        candidates[i].published_usec = generation->published_usec;
        }
        qsort(candidates, n, sizeof(*candidates), compare_candidates);
        *ret = candidates;
        *ret_n = n;
        return 0;
}

/* How many trees are kept beside the current one. */
static size_t old_to_keep(const Store *store) {
        _cleanup_generation_ Generation *generation = NULL;

        if (store->current_fd < 0)
                return 0;
        if (generation_load_at(store->generations_fd, store->current, &generation) < 0 || generation->keep == 0)
                return GENERATIONS_KEPT - 1;
        return (size_t) (generation->keep - 1);
}

/* Returns 1 if the tree was, or would be, removed; 0 if somebody uses it; -errno. */
static int remove_generation(const Store *store, uint64_t number, int lock_fd, bool dry_run) {
        NumberText name = number_text(number);
        char dead[32], json[32];

        _cleanup_close_ int tree_fd = open_directory_at(store->generations_fd, name.text, false, 0);
        if (tree_fd < 0)
                return tree_fd == -ENOENT ? 0 : tree_fd;
        int r = image_lock_exclusive(tree_fd);
        if (r < 0)
                return r == -EBUSY ? 0 : r;
        if (dry_run)
                return 1;
        /* Out of sight first: half of a tree is nobody's generation. */
        snprintf(dead, sizeof(dead), "old-%s", name.text);
        snprintf(json, sizeof(json), "%s.json", name.text);
        if (renameat(store->generations_fd, name.text, lock_fd, dead) < 0)
                return -errno;
        /* The highest number stays known, so that it is not given again. */
        if (number != store->highest)
                (void) unlinkat(store->generations_fd, json, 0);
        r = btrfs_subvolume_remove(lock_fd, dead);
        return r < 0 ? r : 1;
}

static int remove_orphan(Store *store, uint64_t number, bool json) {
        NumberText tree = number_text(number);
        char name[32];

        snprintf(name, sizeof(name), "%s.json", tree.text);
        /* Without any tree there is nobody to be confused by a number that comes again. */
        if (json && number != store->current && (number != store->highest || store->current_fd < 0) &&
            !is_there(store->generations_fd, tree.text))
                (void) unlinkat(store->generations_fd, name, 0);
        return 0;
}

static int collect(const Staging *staging, const char *root_dir, const char *name, int images_fd, bool dry_run,
                   char ***names) {
        _cleanup_store_ Store store = { .generations_fd = -EBADF, .current_fd = -EBADF };
        _cleanup_free_ Candidate *candidates = NULL;
        int result = dry_run ? 0 : generations_settle(staging);
        size_t n;

        int r = store_open(root_dir, name, images_fd, false, &store);
        if (r >= 0)
                r = list_candidates(&store, &candidates, &n);
        if (r < 0)
                return r == -ENOENT ? result : r;
        for (size_t i = old_to_keep(&store); i < n; i++) {
                r = remove_generation(&store, candidates[i].number, dry_run ? -EBADF : staging->lock_fd, dry_run);
                if (r > 0 && names)
                        r = strv_extendf(names, "%s@%" PRIu64, name, candidates[i].number);
                if (r < 0 && result == 0)
                        result = r;
        }
        if (dry_run)
                return result;
        r = for_each_number(&store, remove_orphan);
        if (store.current_fd < 0) {
                _cleanup_close_ int parent_fd = open_directory_at(images_fd, GENERATIONS_DIRECTORY, false, 0);
                (void) unlinkat(parent_fd, name, AT_REMOVEDIR); /* unless something is left */
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
        int r = staging_lock(root_dir, name, &staging);
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

/* Taking away */

static int remove_locked(const Staging *staging, unsigned *ret_in_use) {
        _cleanup_store_ Store store = { .generations_fd = -EBADF, .current_fd = -EBADF };
        _cleanup_free_ uint64_t *numbers = NULL;
        bool known = is_there(staging->images_fd, staging->name);
        size_t n = 0;

        int r = generation_list_old(staging->root_dir, staging->name, &numbers, &n);
        if (r < 0)
                return r;
        if (!known && n == 0)
                return -ENOENT;
        r = store_open(staging->root_dir, staging->name, staging->images_fd, true, &store);
        if (r >= 0 && store.current_fd >= 0) {
                r = adopt_current(&store);
                if (r >= 0)
                        r = reserve_place(&store);
                NumberText place = number_text(store.current);
                if (r >= 0 && renameat(store.images_fd, store.name, store.generations_fd, place.text) < 0) {
                        r = errno == EBUSY ? -EXDEV : -errno;
                        (void) unlinkat(store.generations_fd, place.text, AT_REMOVEDIR);
                }
        }
        if (r < 0)
                return r;
        r = generations_collect_locked(staging, NULL);
        free(TAKE_PTR(numbers));
        int q = generation_list_old(staging->root_dir, staging->name, &numbers, &n);
        if (r < 0 || q < 0)
                return r < 0 ? r : q;
        *ret_in_use = (unsigned) n;
        return 0;
}

int publish_remove(const char *root_dir, const char *name, unsigned *ret_in_use) {
        _cleanup_staging_ Staging staging = STAGING_NONE;

        int r = staging_lock(root_dir, name, &staging);
        if (r < 0)
                return r;
        r = remove_locked(&staging, ret_in_use);
        int q = staging_discard(&staging);
        return r < 0 ? r : q;
}
