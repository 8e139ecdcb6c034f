/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Measures what is below root_dir, for the commands `df` and `metrics`. What several trees share counts once in the total. Only
 * looks; what goes meanwhile is left out. */

#include "cli/disk-usage.h"

#include <fcntl.h>
#include <inttypes.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "cli/busy.h"
#include "cli/image-common.h"
#include "config/image-reference.h"
#include "image/generation.h"
#include "image/staging.h"
#include "machine/directory.h"
#include "maintain/image-cache.h"
#include "maintain/kept-tree.h"
#include "maintain/push-image.h"
#include "storage/trash.h"
#include "store/place.h"
#include "store/store.h"

typedef struct Walk {
        const char *root_dir;
        DiskUsageRow row;
        void *userdata;
        Usage usage;
} Walk;

/* A directory by its path: 1 with what is in it, 0 if it is gone, or -errno. */
static int measure(Walk *walk, const char *path, UsageOfTree *ret) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
        int r = usage_add(&walk->usage, fd, ret);
        return r < 0 ? r : 1;
}

static int add_path(Walk *walk, const char *kind, const char *name, const char *path) {
        UsageOfTree tree;

        int r = measure(walk, path, &tree);
        return r <= 0 ? r : walk->row(kind, name, &tree, walk->userdata);
}

static int add_old_generations(Walk *walk, const char *name) {
        _cleanup_free_ uint64_t *numbers = NULL;
        size_t n = 0;

        int r = generation_list_old(walk->root_dir, name, &numbers, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *path = NULL, *title = NULL;

                if (string_printf(&path, "%s/" GENERATIONS_DIRECTORY "/%s/%" PRIu64, walk->root_dir, name, numbers[i]) <
                            0 ||
                    string_printf(&title, "%s@%" PRIu64, name, numbers[i]) < 0)
                        return -ENOMEM;
                r = add_path(walk, "generation", title, path);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_images(Walk *walk) {
        _cleanup_strv_ char **names = NULL;

        int r = list_images(walk->root_dir, &names);
        if (r < 0)
                return r;
        for (char **name = names; name && *name; name++) {
                _cleanup_free_ char *path = NULL;

                if (string_printf(&path, "%s/%s", walk->root_dir, *name) < 0)
                        return -ENOMEM;
                r = add_path(walk, "image", *name, path);
                if (r < 0)
                        return r;
                r = add_old_generations(walk, *name);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_registry_images(Walk *walk) {
        _cleanup_free_ char *root = NULL;
        _cleanup_strv_ char **names = NULL;

        int r = image_cache_root(walk->root_dir, &root);
        if (r < 0)
                return r;
        r = list_images(root, &names);
        if (r < 0)
                return r;
        for (char **name = names; name && *name; name++) {
                _cleanup_free_ char *path = NULL, *reference = image_reference_from_name(*name);

                if (!reference || string_printf(&path, "%s/%s", root, *name) < 0)
                        return -ENOMEM;
                r = add_path(walk, "registry image", reference, path);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* All that is in a directory of ours, in one row, which says how many there are. */
static int add_directory(Walk *walk, const char *kind, const char *directory) {
        _cleanup_free_ char *path = NULL, *title = NULL;
        _cleanup_strv_ char **names = NULL;
        UsageOfTree all = { 0 };
        size_t n = 0;

        if (string_printf(&path, "%s/%s", walk->root_dir, directory) < 0)
                return -ENOMEM;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        int r = directory_names(fd, &names);
        if (r < 0)
                return r;
        for (char **name = names; name && *name; name++) {
                _cleanup_close_ int entry_fd = openat(fd, *name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                UsageOfTree tree;

                if (entry_fd < 0)
                        continue; /* gone, or no directory: nothing of ours */
                r = usage_add(&walk->usage, entry_fd, &tree);
                if (r < 0)
                        return r;
                all.bytes += tree.bytes;
                all.own_bytes += tree.own_bytes;
                n++;
        }
        if (n == 0)
                return 0;
        r = string_printf(&title, "(%zu)", n);
        return r < 0 ? r : walk->row(kind, title, &all, walk->userdata);
}

static int add_all(Walk *walk) {
        static const struct {
                const char *kind, *directory;
        } directories[] = {
                { "jobs", LAYERS_DIRECTORY },          { "caches", PLACE_CACHES },
                { "working copies", PLACE_BUILDS },    { "kept trees", KEPT_TREE_DIRECTORY },
                { "pushed images", PUSHED_DIRECTORY }, { "being made", STAGING_DIRECTORY },
                { "trash", TRASH_DIRECTORY },
        };

        BUSY("Measuring");
        int r = add_images(walk);
        if (r < 0)
                return r;
        r = add_registry_images(walk);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                r = add_directory(walk, directories[i].kind, directories[i].directory);
                if (r < 0)
                        return r;
        }
        return 0;
}

int disk_usage_measure(const char *root_dir, DiskUsageRow row, void *userdata, uint64_t *ret_total) {
        Walk walk = { .root_dir = root_dir, .row = row, .userdata = userdata };

        int r = add_all(&walk);
        uint64_t total = usage_total(&walk.usage);
        usage_done(&walk.usage);
        if (r < 0)
                return r;
        *ret_total = total;
        return 0;
}
