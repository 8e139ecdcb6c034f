/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Fetches the images of registries that jobs name, notes when they are used, and removes the least recently used ones.
 * `prepare` calls this; other commands only open images that were fetched. One process at a time fetches an image. An
 * image that a job uses must never be removed. */

#include "maintain/image-cache.h"
#include "tree/size.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "config/image-reference.h"
#include "image/generation-collect.h"
#include "image/generation.h"
#include "image/lock.h"
#include "image/publish.h"
#include "image/staging.h"
#include "maintain/image-roots.h"
#include "maintain/owners.h"
#include "source/skopeo.h"
#include "source/source.h"
#include "tree/finish.h"

/* What the record of an image in the cache says of its source, before the reference. */
#define DESCRIPTION "oci " SKOPEO_REGISTRY

/* One fetch. */
typedef struct Fetch {
        const ImageFetch *request;
        char *root; /* of the cache */
        char *name; /* of the image in the cache */
        uint64_t begin_usec;
        Image *image;      /* held; NULL: the image was not fetched yet */
        Generation *known; /* about the image */
        Staging staging;
} Fetch;

static void fetch_done(Fetch *fetch) {
        staging_done(&fetch->staging);
        generation_free(fetch->known);
        image_free(fetch->image);
        free(fetch->name);
        free(fetch->root);
}

static int name_for_people(Image *image, const char *reference) {
        return string_replace(&image->title, reference);
}

int image_cache_hold(const char *root_dir, const char *reference, Image **ret) {
        _cleanup_free_ char *root = NULL, *name = image_reference_to_name(reference);
        _cleanup_image_ Image *image = NULL;

        int r = name ? image_root_path(root_dir, IMAGE_ROOT_REGISTRIES, &root) : -ENOMEM;
        if (r < 0)
                return r;
        r = generation_hold_reference(root, name, &image);
        if (r < 0)
                return r;
        r = name_for_people(image, reference);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(image);
        return 0;
}

int image_cache_reference(const char *root, const char *name, char **ret) {
        _cleanup_generation_ Generation *known = NULL;
        _cleanup_image_ Image *image = NULL;

        if (image_reference_is_hashed(name) && image_open(root, name, &image) >= 0 &&
            generation_load_of(image, &known) >= 0 && known->source) {
                const char *reference = startswith(known->source, DESCRIPTION);

                if (reference)
                        return string_printf(ret, "%s", reference);
        }
        char *reference = image_reference_from_name(name);
        if (!reference)
                return -ENOMEM;
        *ret = reference;
        return 0;
}

/* Holds the image if it is in the cache. -ENOENT: it is not. */
static int look(Fetch *fetch) {
        image_free(TAKE_PTR(fetch->image));
        generation_free(TAKE_PTR(fetch->known));
        int r = generation_hold_reference(fetch->root, fetch->name, &fetch->image);
        return r < 0 ? r : generation_load_of(fetch->image, &fetch->known);
}

/* Was the image fetched by a version of this program that did not record what an image runs as a service? */
static bool lacks_command(const Fetch *fetch) {
        return fetch->request->for_service && !fetch->known->has_command;
}

/* Is the image in the cache, and recent enough? */
static bool is_good(const Fetch *fetch) {
        if (!fetch->image)
                return false;
        if (lacks_command(fetch))
                return false;
        /* If another process asked the registry while we waited, we need not ask again. */
        return fetch->request->pull != PULL_ALWAYS || fetch->known->asked_usec >= fetch->begin_usec;
}

static void begin(const Fetch *fetch, const char *step) {
        listener_step(fetch->request->listener, step);
}

static void on_wait(void *userdata, _unused_ const TurnHolder *holder) {
        begin(userdata, "Another job fetches it: waiting for it");
}

/* Takes the lock that a process holds while it fetches this image. */
static int take_turn(Fetch *fetch) {
        Turn turn = {
                .command = fetch->request->command,
                .wait = true,
                .cancel_fd = fetch->request->listener->cancel_fd,
                .on_wait = on_wait,
                .userdata = fetch,
        };

        return staging_open_empty(fetch->root, fetch->name, &turn, &fetch->staging);
}

/* Publishes the tree in the staging directory as the image. */
static int publish_fetched(Fetch *fetch, const SourceResult *source, uint64_t asked_usec, Problem *reterr_problem) {
        Generation about = {
                .asked_usec = asked_usec,
                .keep = 1,
                .source = source->description,
                .digest = source->digest,
                .config = source->config,
                .has_command = source->has_config,
        };

        _cleanup_free_ char *warning = NULL;
        _cleanup_close_ int tree_fd = staging_tree(&fetch->staging);
        if (tree_fd < 0)
                return tree_fd;
        int r = finish_tree(tree_fd);
        if (r < 0)
                return r;
        r = tree_size(tree_fd, &about.size_bytes);
        if (r < 0)
                return r;
        r = owners_warning(tree_fd, fetch->request->settings, &warning);
        if (r < 0)
                return r;
        if (warning)
                begin(fetch, warning);
        return publish(&fetch->staging, &about, NULL, reterr_problem);
}

/* Fetches the image. The caller holds the lock. */
static int fetch_now(Fetch *fetch, Problem *reterr_problem) {
        const ImageFetch *request = fetch->request;
        _cleanup_source_result_ SourceResult source = { 0 };
        SourceSpec spec = { .kind = SOURCE_OCI };
        _cleanup_free_ char *oci = NULL, *step = NULL;
        uint64_t limit_bytes = request->settings->image_cache_size;

        int r = string_printf(&oci, SKOPEO_REGISTRY "%s", request->reference);
        if (r < 0)
                return r;
        r = string_printf(&step, "Fetching image %s", request->reference);
        if (r < 0)
                return r;
        spec.oci = oci;
        _cleanup_close_ int work_fd = staging_work(&fetch->staging);
        if (work_fd < 0)
                return work_fd;
        SourceRequest fill = {
                .spec = &spec,
                .target = fetch->staging.root_path,
                .work = fetch->staging.work_path,
                .old_digest = fetch->known && !lacks_command(fetch) ? fetch->known->digest : NULL,
                .listener = request->listener,
                .max_bytes = limit_bytes == UINT64_MAX ? 0 : limit_bytes,
        };
        begin(fetch, step);
        uint64_t asked_usec = clock_realtime_usec();
        r = source_fill(&fill, &source, reterr_problem);
        if (r != 0)
                return r;
        if (!source.unchanged)
                return publish_fetched(fetch, &source, asked_usec, reterr_problem);
        /* For those who wait for us. After a failure they ask by themselves. */
        (void) publish_asked(&fetch->staging, asked_usec);
        return 0;
}

/* Fetches the image unless another process has just done so. The caller holds the lock. */
static int fetch_or_not(Fetch *fetch, Problem *reterr_problem) {
        int r = look(fetch);

        if (r < 0 && r != -ENOENT)
                return r;
        if (!is_good(fetch)) {
                r = fetch_now(fetch, reterr_problem);
                if (r == 0)
                        r = look(fetch);
        } else
                r = 0;
        int q = staging_discard(&fetch->staging);
        return r != 0 ? r : q;
}

static int note_use(const Fetch *fetch) {
        _cleanup_free_ char *path = NULL;

        int r = generation_json_path(fetch->root, fetch->name, fetch->image->generation, &path);
        if (r < 0)
                return r;
        return utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* One image of the cache, and what decides whether it is removed first. */
typedef struct Cached {
        char *name;
        uint64_t size_bytes;
        struct timespec used;
} Cached;

static void cached_free(Cached *cached, size_t n) {
        for (size_t i = 0; cached && i < n; i++)
                free(cached[i].name);
        free(cached);
}

static int compare_use(const void *a, const void *b) {
        const struct timespec *x = &((const Cached *) a)->used, *y = &((const Cached *) b)->used;

        if (x->tv_sec != y->tv_sec)
                return x->tv_sec < y->tv_sec ? -1 : 1;
        return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

/* Returns false if the image was removed meanwhile. */
static bool look_at(const char *root, const char *name, Cached *ret) {
        _cleanup_generation_ Generation *known = NULL;
        _cleanup_image_ Image *image = NULL;
        _cleanup_free_ char *path = NULL;
        struct stat st;

        if (image_open(root, name, &image) < 0 || generation_load_of(image, &known) < 0 ||
            generation_json_path(root, name, image->generation, &path) < 0 || stat(path, &st) < 0)
                return false;
        *ret = (Cached){ .name = strdup(name), .size_bytes = known->size_bytes, .used = st.st_mtim };
        return ret->name;
}

/* The size of an image's old generations, which stay as long as jobs use them. */
static uint64_t size_of_old(const char *root, const char *name) {
        _cleanup_free_ uint64_t *numbers = NULL;
        uint64_t total_bytes = 0;
        size_t n = 0;

        if (generation_list_old(root, name, &numbers, &n) < 0)
                return 0;
        for (size_t i = 0; i < n; i++) {
                _cleanup_generation_ Generation *known = NULL;

                if (generation_load(root, name, numbers[i], &known) >= 0)
                        total_bytes += known->size_bytes;
        }
        return total_bytes;
}

static bool is_used(const char *root, const char *name) {
        _cleanup_image_ Image *image = NULL;

        int r = image_open(root, name, &image);
        return r < 0 ? r != -ENOENT : image_lock_exclusive(image->fd) < 0;
}

/* Removes images that nobody uses, but not @spare (a name, or NULL), the least recently used first, until @enough is
 * true for what is left and what was removed. Best effort: an image that cannot be removed now is removed another
 * time. */
static void remove_oldest(const char *root, const char *spare,
                          bool (*enough)(void *userdata, uint64_t left_bytes, uint64_t removed_bytes), void *userdata) {
        _cleanup_strv_ char **names = NULL;
        uint64_t left_bytes = 0, removed_bytes = 0;
        size_t n = 0;

        if (image_list(root, &names, NULL) < 0)
                return;
        Cached *cached = calloc(strv_length(names) + 1, sizeof(*cached));
        for (char **name = names; cached && name && *name; name++)
                if (look_at(root, *name, &cached[n]))
                        left_bytes += cached[n++].size_bytes + size_of_old(root, *name);
        SORT(cached, n, compare_use);
        for (size_t i = 0; i < n && !enough(userdata, left_bytes, removed_bytes); i++) {
                unsigned in_use;

                if (streq_null(cached[i].name, spare) || is_used(root, cached[i].name))
                        continue;
                int r = publish_remove(root, cached[i].name, NULL, &in_use);
                /* -ENOENT: another job makes room at the same time. */
                if (r < 0 && r != -ENOENT)
                        continue;
                left_bytes -= cached[i].size_bytes;
                removed_bytes += cached[i].size_bytes;
        }
        cached_free(cached, n);
        (void) generations_collect(root, false, NULL);
}

int image_cache_remove_unused(const char *root_dir, bool dry_run, char ***names) {
        _cleanup_free_ char *root = NULL;
        _cleanup_strv_ char **all = NULL, **broken = NULL;
        int result = 0;

        int r = image_root_path(root_dir, IMAGE_ROOT_REGISTRIES, &root);
        if (r < 0)
                return r;
        r = image_list(root, &all, &broken);
        if (r < 0)
                return r;
        if (broken)
                result = -EIO;
        for (char **name = all; name && *name; name++) {
                unsigned in_use;

                if (is_used(root, *name))
                        continue;
                r = dry_run ? 0 : publish_remove(root, *name, NULL, &in_use);
                if (r == 0)
                        r = strv_extend(names, *name);
                /* -ENOENT, -EBUSY: another process is removing or fetching the image. */
                if (r < 0 && r != -ENOENT && r != -EBUSY && result == 0)
                        result = r;
        }
        return result;
}

static bool is_within(void *userdata, uint64_t left_bytes, _unused_ uint64_t removed_bytes) {
        return left_bytes <= *(const uint64_t *) userdata;
}

typedef struct Wanted {
        bool (*enough)(void *userdata, uint64_t removed_bytes);
        void *userdata;
} Wanted;

static bool is_enough(void *userdata, _unused_ uint64_t left_bytes, uint64_t removed_bytes) {
        const Wanted *wanted = userdata;

        return wanted->enough(wanted->userdata, removed_bytes);
}

int image_cache_give_way(const char *root_dir, const char *spare,
                         bool (*enough)(void *userdata, uint64_t removed_bytes), void *userdata) {
        _cleanup_free_ char *root = NULL, *spare_name = spare ? image_reference_to_name(spare) : NULL;
        Wanted wanted = { enough, userdata };

        int r = spare && !spare_name ? -ENOMEM : image_root_path(root_dir, IMAGE_ROOT_REGISTRIES, &root);
        if (r < 0)
                return r;
        remove_oldest(root, spare_name, is_enough, &wanted);
        return 0;
}

static int get(Fetch *fetch, Problem *reterr_problem) {
        const Settings *settings = fetch->request->settings;

        int r = look(fetch);
        if (r < 0 && r != -ENOENT)
                return r;
        if (fetch->request->pull == PULL_NEVER ||
            (fetch->request->pull == PULL_IF_NOT_PRESENT && fetch->image && !lacks_command(fetch)))
                return r;
        /* The first image of a host may be one of a registry: then there is no root_dir yet. */
        r = mkdir_parents(fetch->root, 0700);
        if (r < 0)
                return r;
        r = take_turn(fetch);
        if (r < 0)
                return r;
        r = fetch_or_not(fetch, reterr_problem);
        if (r == 0)
                remove_oldest(fetch->root, NULL, is_within, &(uint64_t){ settings->image_cache_size });
        return r;
}

int image_cache_get(const ImageFetch *request, Image **ret, Problem *reterr_problem) {
        _cleanup_(fetch_done) Fetch fetch = {
                .request = request,
                .name = image_reference_to_name(request->reference),
                .begin_usec = clock_realtime_usec(),
                .staging = STAGING_NONE,
        };

        int r = fetch.name ? image_root_path(request->settings->root_dir, IMAGE_ROOT_REGISTRIES, &fetch.root) : -ENOMEM;
        if (r < 0)
                return r;
        r = get(&fetch, reterr_problem);
        if (r != 0)
                return r;
        r = note_use(&fetch);
        if (r != 0)
                return r;
        r = name_for_people(fetch.image, request->reference);
        if (r != 0)
                return r;
        *ret = TAKE_PTR(fetch.image);
        return 0;
}
