/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Measures what is below root_dir, for the commands `df` and `metrics`. What several trees share counts once in the total. Only
 * looks; what goes meanwhile is left out. What cannot be measured must not keep the rest from being shown. */

#include "cli/disk-usage.h"

#include <fcntl.h>
#include <inttypes.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/busy.h"
#include "cli/image-common.h"
#include "config/image-reference.h"
#include "image/generation.h"
#include "image/staging.h"
#include "machine/directory.h"
#include "maintain/image-roots.h"
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
        bool lacks;
} Walk;

/* Says what cannot be measured. 0 to go on, or -errno. */
static int leave_out(Walk *walk, const char *kind, const char *path, int error) {
        if (error == -ENOMEM)
                return error;
        (void) log_warning_errno(error, "Left out, because it cannot be measured: %s: %m", path);
        walk->lacks = true;
        return walk->row(kind, NULL, NULL, walk->userdata);
}

/* A directory by its path: 1 with what is in it, 0 if it is gone, or -errno. */
static int measure(Walk *walk, const char *path, UsageOfTree *ret) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
        int r = usage_add(&walk->usage, fd, USEC_INFINITY, ret);
        return r < 0 ? r : 1;
}

static int add_path(Walk *walk, const char *kind, const char *name, const char *path) {
        UsageOfTree tree;

        int r = measure(walk, path, &tree);
        if (r < 0)
                return leave_out(walk, kind, path, r);
        return r == 0 ? 0 : walk->row(kind, name, &tree, walk->userdata);
}

/* The images in @root_dir. */
static int list(Walk *walk, const char *kind, const char *root_dir, char ***ret) {
        int r = list_images(root_dir, ret);
        if (r < 0)
                return leave_out(walk, kind, root_dir, r);
        if (r == 0)
                return 0;
        walk->lacks = true; /* the others were listed */
        return walk->row(kind, NULL, NULL, walk->userdata);
}

static int add_old_generations(Walk *walk, const char *name) {
        _cleanup_free_ uint64_t *numbers = NULL;
        size_t n = 0;

        int r = generation_list_old(walk->root_dir, name, &numbers, &n);
        if (r < 0) {
                _cleanup_free_ char *path = NULL;

                if (string_printf(&path, "%s/" GENERATIONS_DIRECTORY "/%s", walk->root_dir, name) < 0)
                        return -ENOMEM;
                return leave_out(walk, "generation", path, r);
        }
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

        int r = list(walk, "image", walk->root_dir, &names);
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

        int r = image_root_path(walk->root_dir, IMAGE_ROOT_REGISTRIES, &root);
        if (r < 0)
                return r;
        r = list(walk, "registry image", root, &names);
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

/* Adds what is in @name in the directory @fd to @all. 1; 0: it is gone, or nothing of ours; or -errno. */
static int add_entry(Walk *walk, int fd, const char *name, UsageOfTree *all) {
        _cleanup_close_ int entry_fd = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        UsageOfTree tree;

        if (entry_fd < 0)
                return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
        int r = usage_add(&walk->usage, entry_fd, USEC_INFINITY, &tree);
        if (r < 0)
                return r;
        all->bytes += tree.bytes;
        all->own_bytes += tree.own_bytes;
        return 1;
}

/* All that is in the directory @fd with path @path, in one row, which says how many there are. */
static int add_entries(Walk *walk, const char *kind, int fd, const char *path) {
        _cleanup_strv_ char **names = NULL;
        _cleanup_free_ char *title = NULL;
        UsageOfTree all = { 0 };
        size_t n = 0;

        int r = directory_names(fd, &names);
        if (r < 0)
                return leave_out(walk, kind, path, r);
        for (char **name = names; name && *name; name++) {
                _cleanup_free_ char *entry = NULL;

                if (string_printf(&entry, "%s/%s", path, *name) < 0)
                        return -ENOMEM;
                r = add_entry(walk, fd, *name, &all);
                n += r > 0;
                r = r < 0 ? leave_out(walk, kind, entry, r) : 0;
                if (r < 0)
                        return r;
        }
        if (n == 0)
                return 0;
        r = string_printf(&title, "(%zu)", n);
        return r < 0 ? r : walk->row(kind, title, &all, walk->userdata);
}

/* The same for a directory of ours. */
static int add_directory(Walk *walk, const char *kind, const char *directory) {
        _cleanup_free_ char *path = NULL;

        if (string_printf(&path, "%s/%s", walk->root_dir, directory) < 0)
                return -ENOMEM;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT ? 0 : leave_out(walk, kind, path, -errno);
        return add_entries(walk, kind, fd, path);
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
        return walk.lacks ? DISK_USAGE_LACKS : 0;
}
