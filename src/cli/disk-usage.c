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
#include "image/generation.h"
#include "image/staging.h"
#include "machine/directory.h"
#include "maintain/image-cache.h"
#include "maintain/image-roots.h"
#include "maintain/maintenance-log.h"
#include "maintain/push-image.h"
#include "storage/trash.h"
#include "store/place.h"
#include "store/store.h"

const DiskUsageName disk_usage_names[DISK_USAGE_KINDS] = {
        [DISK_USAGE_REGISTRY_IMAGES] = { "registry image", "registry_images" },
        [DISK_USAGE_CACHES] = { "caches", "caches" },
        [DISK_USAGE_WORKING_COPIES] = { "working copies", "working_copies" },
        [DISK_USAGE_IMAGES] = { "image", "images" },
        [DISK_USAGE_GENERATIONS] = { "generation", "generations" },
        [DISK_USAGE_LAYERS] = { "jobs", "layers" },
        [DISK_USAGE_KEPT_TREES] = { "kept trees", "kept_trees" },
        [DISK_USAGE_PUSHED_IMAGES] = { "pushed images", "pushed_images" },
        [DISK_USAGE_BEING_MADE] = { "being made", "being_made" },
        [DISK_USAGE_TRASH] = { "trash", "trash" },
        [DISK_USAGE_LOGS] = { "logs", "logs" },
};

/* Kinds of which all are in one row, which says how many there are; in this order. */
static const DiskUsageKind in_one_row[] = {
        DISK_USAGE_LAYERS,        DISK_USAGE_CACHES,     DISK_USAGE_WORKING_COPIES, DISK_USAGE_KEPT_TREES,
        DISK_USAGE_PUSHED_IMAGES, DISK_USAGE_BEING_MADE, DISK_USAGE_TRASH,          DISK_USAGE_LOGS,
};

typedef struct Group {
        UsageOfTree all;
        size_t n;
} Group;

/* What the images of each directory of images are. */
static const DiskUsageKind kind_of_root[IMAGE_ROOTS] = {
        [IMAGE_ROOT_NAMED] = DISK_USAGE_IMAGES,
        [IMAGE_ROOT_REGISTRIES] = DISK_USAGE_REGISTRY_IMAGES,
        [IMAGE_ROOT_KEPT] = DISK_USAGE_KEPT_TREES,
};
_Static_assert(IMAGE_ROOT_KEPT + 1 == IMAGE_ROOTS, "each directory of images has a kind here");

typedef struct Walk {
        const char *root_dir;
        DiskUsageRow row;
        void *userdata;
        Usage usage;
        Group groups[DISK_USAGE_KINDS];
        bool lacks;
} Walk;

/* Says what cannot be measured. 0 to go on, or -errno. */
static int leave_out(Walk *walk, DiskUsageKind kind, const char *path, int error) {
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

/* Measures the directory @path: a row of its own, called @name, or with NULL a part of the kind's row. */
static int add_path(Walk *walk, DiskUsageKind kind, const char *name, const char *path) {
        Group *group = &walk->groups[kind];
        UsageOfTree tree;

        int r = measure(walk, path, &tree);
        if (r < 0)
                return leave_out(walk, kind, path, r);
        if (r == 0)
                return 0;
        if (name)
                return walk->row(kind, name, &tree, walk->userdata);
        group->all.bytes += tree.bytes;
        group->all.own_bytes += tree.own_bytes;
        group->n++;
        return 0;
}

/* What is in the directory @path, in the kind's row. */
static int add_entries(Walk *walk, DiskUsageKind kind, const char *path) {
        _cleanup_strv_ char **names = NULL;

        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT ? 0 : leave_out(walk, kind, path, -errno);
        int r = directory_names(fd, &names);
        if (r < 0)
                return leave_out(walk, kind, path, r);
        for (char **name = names; name && *name; name++) {
                _cleanup_free_ char *entry = NULL;

                if (string_printf(&entry, "%s/%s", path, *name) < 0)
                        return -ENOMEM;
                r = add_path(walk, kind, NULL, entry);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- directories of images --- */

static int add_old_generations(Walk *walk, const char *root, const char *name, const char *title) {
        _cleanup_free_ char *directory = NULL;
        _cleanup_free_ uint64_t *numbers = NULL;
        size_t n = 0;

        if (string_printf(&directory, "%s/" GENERATIONS_DIRECTORY "/%s", root, name) < 0)
                return -ENOMEM;
        int r = generation_list_old(root, name, &numbers, &n);
        if (r < 0)
                return leave_out(walk, DISK_USAGE_GENERATIONS, directory, r);
        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *path = NULL, *numbered = NULL;

                if (string_printf(&path, "%s/%" PRIu64, directory, numbers[i]) < 0 ||
                    string_printf(&numbered, "%s@%" PRIu64, title, numbers[i]) < 0)
                        return -ENOMEM;
                r = add_path(walk, DISK_USAGE_GENERATIONS, numbered, path);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool has_rows(DiskUsageKind kind) {
        for (size_t i = 0; i < ELEMENTSOF(in_one_row); i++)
                if (in_one_row[i] == kind)
                        return false;
        return true;
}

/* The image of that name, if there is one, and generations, which a job may use longer than there is an image. */
static int add_image(Walk *walk, ImageRootId id, const char *root, const char *name, bool is_image) {
        const DiskUsageKind kind = kind_of_root[id];
        _cleanup_free_ char *path = NULL, *reference = NULL;

        if (string_printf(&path, "%s/%s", root, name) < 0)
                return -ENOMEM;
        if (image_roots[id].is_reference && image_cache_reference(root, name, &reference) < 0)
                return -ENOMEM;
        const char *title = reference ? reference : name;
        int r = is_image ? add_path(walk, kind, has_rows(kind) ? title : NULL, path) : 0;
        return r < 0 ? r : add_old_generations(walk, root, name, title);
}

/* The images in the directory of images @root. */
static int list(Walk *walk, DiskUsageKind kind, const char *root, char ***ret) {
        int r = list_images(root, ret);
        if (r < 0)
                return leave_out(walk, kind, root, r);
        if (r == 0)
                return 0;
        walk->lacks = true; /* the others were listed */
        return walk->row(kind, NULL, NULL, walk->userdata);
}

/* Appends names of images that have, or had, generations. */
static int list_with_generations(Walk *walk, const char *root, char ***names) {
        _cleanup_strv_ char **found = NULL;
        _cleanup_free_ char *path = NULL;

        if (string_printf(&path, "%s/" GENERATIONS_DIRECTORY, root) < 0)
                return -ENOMEM;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        int r = fd >= 0 ? directory_names(fd, &found) : errno == ENOENT ? 0 : -errno;
        if (r < 0)
                return leave_out(walk, DISK_USAGE_GENERATIONS, path, r);
        for (char **name = found; name && *name; name++) {
                r = image_name_problem(*name) ? 0 : strv_extend(names, *name);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_root(Walk *walk, ImageRootId id) {
        _cleanup_strv_ char **images = NULL, **names = NULL;
        _cleanup_free_ char *root = NULL, *staging = NULL;

        if (image_root_path(walk->root_dir, id, &root) < 0 ||
            string_printf(&staging, "%s/" STAGING_DIRECTORY, root) < 0)
                return -ENOMEM;
        int r = list(walk, kind_of_root[id], root, &images);
        if (r < 0)
                return r;
        r = strv_copy(images, &names);
        if (r < 0)
                return r;
        r = list_with_generations(walk, root, &names);
        if (r < 0)
                return r;
        strv_sort_unique(names);
        char **image = images; /* sorted, too */
        for (char **name = names; name && *name; name++) {
                bool is_image = image && *image && streq(*image, *name);

                r = add_image(walk, id, root, *name, is_image);
                if (r < 0)
                        return r;
                image += is_image;
        }
        return add_entries(walk, DISK_USAGE_BEING_MADE, staging);
}

/* --- other directories of ours --- */

static int add_directory(Walk *walk, DiskUsageKind kind, const char *directory) {
        _cleanup_free_ char *path = NULL;

        int r = string_printf(&path, "%s/%s", walk->root_dir, directory);
        return r < 0 ? r : add_entries(walk, kind, path);
}

/* One file for each image: they are measured together. */
static int add_logs(Walk *walk) {
        Group *group = &walk->groups[DISK_USAGE_LOGS];
        _cleanup_strv_ char **names = NULL;
        _cleanup_free_ char *path = NULL;

        if (string_printf(&path, "%s/" MAINTENANCE_LOGS_DIRECTORY, walk->root_dir) < 0)
                return -ENOMEM;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT ? 0 : leave_out(walk, DISK_USAGE_LOGS, path, -errno);
        int r = directory_names(fd, &names);
        if (r < 0)
                return leave_out(walk, DISK_USAGE_LOGS, path, r);
        r = usage_add(&walk->usage, fd, USEC_INFINITY, &group->all);
        if (r < 0)
                return leave_out(walk, DISK_USAGE_LOGS, path, r);
        group->n = strv_length(names);
        return 0;
}

static int add_all(Walk *walk) {
        static const struct {
                DiskUsageKind kind;
                const char *directory;
        } directories[] = {
                { DISK_USAGE_LAYERS, LAYERS_DIRECTORY },     { DISK_USAGE_CACHES, PLACE_CACHES },
                { DISK_USAGE_WORKING_COPIES, PLACE_BUILDS }, { DISK_USAGE_PUSHED_IMAGES, PUSHED_DIRECTORY },
                { DISK_USAGE_TRASH, TRASH_DIRECTORY },
        };

        BUSY("Measuring");
        for (ImageRootId id = 0; id < IMAGE_ROOTS; id++) {
                int r = add_root(walk, id);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                int r = add_directory(walk, directories[i].kind, directories[i].directory);
                if (r < 0)
                        return r;
        }
        return add_logs(walk);
}

static int show_groups(const Walk *walk) {
        for (size_t i = 0; i < ELEMENTSOF(in_one_row); i++) {
                const Group *group = &walk->groups[in_one_row[i]];
                _cleanup_free_ char *title = NULL;

                if (group->n == 0)
                        continue;
                int r = string_printf(&title, "(%zu)", group->n);
                if (r < 0)
                        return r;
                r = walk->row(in_one_row[i], title, &group->all, walk->userdata);
                if (r < 0)
                        return r;
        }
        return 0;
}

int disk_usage_measure(const char *root_dir, DiskUsageRow row, void *userdata, uint64_t *ret_total) {
        Walk walk = { .root_dir = root_dir, .row = row, .userdata = userdata };

        int r = add_all(&walk);
        if (r == 0)
                r = show_groups(&walk);
        uint64_t total = usage_total(&walk.usage);
        usage_done(&walk.usage);
        if (r < 0)
                return r;
        *ret_total = total;
        return walk.lacks ? DISK_USAGE_LACKS : 0;
}
