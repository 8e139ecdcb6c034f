/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Removes everything that is not needed, for the command `prune`. Each kind of thing has its own code that knows what
 * is in use. This file calls that code kind by kind: first to tell what there is and how large it is, then to remove
 * it. Nothing here may decide by itself that something is not in use. */

#include "maintain/prune.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "image/generation.h"
#include "machine/collect.h"
#include "machine/disk.h"
#include "maintain/image-cache.h"
#include "maintain/image-roots.h"
#include "maintain/kept-tree.h"
#include "maintain/push-image.h"
#include "storage/trash.h"
#include "store/place.h"
#include "store/store.h"
#include "tree/size.h"

/* A kind of things. @collect appends the names of those that can be removed and, without @dry_run, removes them. */
typedef struct Kind {
        const char *name;
        const char *directory; /* in root_dir, with an entry named like each thing */
        int (*collect)(const Settings *settings, bool dry_run, char ***names);
        bool is_job;
        bool is_reference;             /* names are file names, which are shown as references */
        const ImageLeftover *leftover; /* collects instead, in directory of images @root */
        ImageRootId root;
} Kind;

static int collect_trash(const Settings *settings, bool dry_run, char ***names) {
        _cleanup_close_ int trash_fd = trash_open(settings->root_dir, false);

        if (trash_fd < 0)
                return trash_fd == -ENOENT ? 0 : trash_fd;
        return dry_run ? trash_list(trash_fd, names) : trash_empty(trash_fd, USEC_INFINITY, names);
}

static int collect_jobs(const Settings *settings, bool dry_run, char ***names) {
        return dry_run ? machine_list_dead(settings, true, names) : machine_collect(settings, true, names);
}

static int collect_cache(const Settings *settings, bool dry_run, char ***names) {
        return image_cache_remove_unused(settings->root_dir, dry_run, names);
}

static int collect_kept(const Settings *settings, bool dry_run, char ***names) {
        return kept_tree_collect(settings, true, dry_run, names);
}

static int collect_caches(const Settings *settings, bool dry_run, char ***names) {
        return store_shrink(settings->root_dir, &place_caches, 0, NULL, dry_run, names);
}

static int collect_builds(const Settings *settings, bool dry_run, char ***names) {
        return store_shrink(settings->root_dir, &place_builds, 0, NULL, dry_run, names);
}

static int collect_pushed(const Settings *settings, bool dry_run, char ***names) {
        return pushed_collect(settings->root_dir, true, dry_run, names);
}

static const Kind kinds[] = {
        { .name = "rest of a job", .directory = TRASH_DIRECTORY, .collect = collect_trash },
        { .name = "dead job", .collect = collect_jobs, .is_job = true },
};

/* They come after what all directories of images have. */
static const Kind kinds_more[] = {
        { .name = "image of a registry",
          .directory = IMAGE_CACHE_DIRECTORY,
          .collect = collect_cache,
          .is_reference = true },
        { .name = "kept tree", .directory = KEPT_TREE_DIRECTORY, .collect = collect_kept },
        { .name = "pushed image", .directory = PUSHED_DIRECTORY, .collect = collect_pushed },
        { .name = "cache", .directory = PLACE_CACHES, .collect = collect_caches },
        { .name = "working copy", .directory = PLACE_BUILDS, .collect = collect_builds },
};

/* The directory with the things of @kind, of which sizes are known: 0 or -ENOMEM. */
static int directory_of(const Settings *settings, const Kind *kind, char **ret) {
        _cleanup_free_ char *images = NULL;

        if (!kind->leftover)
                return string_printf(ret, "%s/%s", settings->root_dir, kind->directory);
        int r = image_root_path(settings->root_dir, kind->root, &images);
        return r < 0 ? r : string_printf(ret, "%s/%s", images, kind->leftover->directory);
}

/* The number of bytes that the thing @name occupies; 0: it cannot be found out. */
static uint64_t size_of(const Settings *settings, const Kind *kind, const char *name) {
        _cleanup_free_ char *directory = NULL, *path = NULL;
        uint64_t bytes = 0;

        if (kind->is_job)
                return machine_disk_bytes(settings, name, USEC_INFINITY, &bytes) < 0 ? 0 : bytes;
        if (directory_of(settings, kind, &directory) < 0 || string_printf(&path, "%s/%s", directory, name) < 0)
                return 0;
        char *at = kind->leftover && kind->leftover->is_generation ? strrchr(path, '@') : NULL;
        if (at)
                *at = '/';
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 || tree_size(fd, &bytes) < 0 ? 0 : bytes;
}

static int collect(const Settings *settings, const Kind *kind, bool dry_run, char ***names) {
        _cleanup_free_ char *root = NULL;

        if (!kind->leftover)
                return kind->collect(settings, dry_run, names);
        int r = image_root_path(settings->root_dir, kind->root, &root);
        return r < 0 ? r : kind->leftover->collect(root, dry_run, names);
}

/* The reference of an image of a registry, or of one of its generations, as people know it. 0 or -ENOMEM. */
static int reference_of(const Settings *settings, const Kind *kind, const char *name, char **ret) {
        _cleanup_free_ char *root = NULL, *image = NULL, *reference = NULL;
        uint64_t number;

        int r = image_root_path(settings->root_dir, IMAGE_ROOT_REGISTRIES, &root);
        if (r < 0)
                return r;
        bool is_generation = kind->leftover && kind->leftover->is_generation;
        if (!is_generation || generation_split(name, &image, &number) < 0)
                return image_cache_reference(root, name, ret);
        r = image_cache_reference(root, image, &reference);
        return r < 0 ? r : string_printf(ret, "%s@%" PRIu64, reference, number);
}

/* Calls on_item for each thing of the kind, also for those found before a failure. */
static int list_kind(const PruneRequest *request, const Kind *kind, bool *ret_any) {
        _cleanup_strv_ char **names = NULL;

        int r = collect(request->settings, kind, true, &names);
        for (char **name = names; name && *name; name++) {
                _cleanup_free_ char *reference = NULL;

                if (kind->is_reference && reference_of(request->settings, kind, *name, &reference) < 0)
                        return -ENOMEM;
                request->on_item(request->userdata, kind->name, reference ? reference : *name,
                                 size_of(request->settings, kind, *name));
        }
        *ret_any = names;
        return r;
}

static int remove_kind(const PruneRequest *request, const Kind *kind) {
        _cleanup_strv_ char **removed = NULL;
        bool any;

        int r = list_kind(request, kind, &any);
        if (r < 0 || request->dry_run || !any)
                return r;
        return collect(request->settings, kind, false, &removed);
}

static int prune_kind(const PruneRequest *request, const Kind *kind) {
        int r = remove_kind(request, kind);
        if (r < 0 && r != -ENOMEM)
                request->on_failure(request->userdata, kind->name, r);
        return r == -ENOMEM ? r : 0;
}

static int prune_kinds(const PruneRequest *request, const Kind *of, size_t n) {
        for (size_t i = 0; i < n; i++) {
                int r = prune_kind(request, of + i);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int prune_images(const PruneRequest *request) {
        for (size_t i = 0; i < IMAGE_LEFTOVERS * IMAGE_ROOTS; i++) {
                const ImageRootId root = i % IMAGE_ROOTS;
                const ImageLeftover *leftover = image_leftovers + i / IMAGE_ROOTS;
                const Kind kind = {
                        .name = leftover->name,
                        .is_reference = image_roots[root].is_reference,
                        .leftover = leftover,
                        .root = root,
                };

                int r = prune_kind(request, &kind);
                if (r < 0)
                        return r;
        }
        return 0;
}

int prune(const PruneRequest *request) {
        _cleanup_strv_ char **rest = NULL;

        int r = prune_kinds(request, kinds, ELEMENTSOF(kinds));
        if (r < 0)
                return r;
        r = prune_images(request);
        if (r < 0)
                return r;
        r = prune_kinds(request, kinds_more, ELEMENTSOF(kinds_more));
        if (r < 0)
                return r;
        /* Things that were removed above are in the trash now. */
        r = request->dry_run ? 0 : collect_trash(request->settings, false, &rest);
        if (r < 0 && r != -ENOMEM)
                request->on_failure(request->userdata, kinds[0].name, r);
        return r == -ENOMEM ? r : 0;
}
