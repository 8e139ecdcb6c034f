/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Keeps trees of failed tries for the next try. make.c calls this; `gc` and `prune` call it for the trees that are
 * kept. The trees are made, published, locked and removed like images, in a directory of images of their own. That
 * directory must stay hidden from jobs, so its name begins with a dot. */

#include "maintain/kept-tree.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "base/string.h"
#include "image/generation-collect.h"
#include "image/publish.h"
#include "maintain/image-roots.h"
#include "source/source.h"

/* A week: by then the archive that the tree came from has changed. */
#define AGE_MAX_USEC (7 * 24 * 3600 * USEC_PER_SEC)

static bool is_old(const Generation *about) {
        uint64_t now = clock_realtime_usec();

        return now > about->published_usec && now - about->published_usec > AGE_MAX_USEC;
}

/* Would the definition make the same tree again? For images of registries and archives, the digest shows this later. */
static bool fits(const Definition *definition, const Generation *about) {
        _cleanup_free_ char *description = NULL, *recipe = NULL;

        return source_describe(&definition->source, &description) >= 0 &&
               source_recipe(&definition->source, &recipe) >= 0 && streq_null(description, about->source) &&
               (!recipe || streq_null(recipe, about->digest)) && !definition->recreate;
}

/* Holds the kept tree of image @name without checking whether it can be used. */
static int hold(const char *root_dir, const char *name, Image **ret, Generation **ret_about) {
        _cleanup_generation_ Generation *about = NULL;
        _cleanup_image_ Image *image = NULL;
        _cleanup_free_ char *root = NULL;

        int r = image_root_path(root_dir, IMAGE_ROOT_KEPT, &root);
        if (r < 0)
                return r;
        r = generation_hold_reference(root, name, &image);
        if (r < 0)
                return r;
        r = generation_load_of(image, &about);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(image);
        *ret_about = TAKE_PTR(about);
        return 0;
}

/* Removes the directory once its last tree is gone. */
static void remove_if_empty(const char *root) {
        _cleanup_free_ char *generations = NULL;

        if (string_printf(&generations, "%s/" GENERATIONS_DIRECTORY, root) >= 0)
                (void) rmdir(generations);
        (void) rmdir(root);
}

void kept_tree_done(KeptTree *kept) {
        if (kept->aside.lock_fd >= 0) {
                (void) staging_discard(&kept->aside);
                remove_if_empty(kept->aside.root_dir);
        }
        staging_done(&kept->aside);
        image_free(kept->image);
        generation_free(kept->about);
        *kept = KEPT_TREE_NONE;
}

int kept_tree_find(const char *root_dir, const Definition *definition, KeptTree *kept) {
        _cleanup_generation_ Generation *about = NULL;
        _cleanup_image_ Image *image = NULL;

        int r = hold(root_dir, definition->name, &image, &about);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        if (!is_old(about) && fits(definition, about)) {
                kept->image = TAKE_PTR(image);
                kept->about = TAKE_PTR(about);
        }
        return 0;
}

int kept_tree_set_aside(const char *root_dir, const char *name, int tree_fd, int cancel_fd, KeptTree *kept) {
        _cleanup_free_ char *root = NULL;

        int r = image_root_path(root_dir, IMAGE_ROOT_KEPT, &root);
        if (r < 0)
                return r;
        if (mkdir(root, 0700) < 0 && errno != EEXIST)
                return -errno;
        return staging_open_copy(root, name, NULL, &(Image){ .fd = tree_fd }, cancel_fd, &kept->aside);
}

int kept_tree_keep(KeptTree *kept, const Generation *about) {
        Generation ours = *about;

        if (kept->aside.lock_fd < 0)
                return -ENOENT;
        ours.keep = 1;
        int r = publish(&kept->aside, &ours, NULL, NULL);
        return r < 0 ? r : generations_collect_locked(&kept->aside, NULL);
}

static int drop(const char *root_dir, const char *name) {
        _cleanup_free_ char *root = NULL;
        unsigned in_use;

        int r = image_root_path(root_dir, IMAGE_ROOT_KEPT, &root);
        if (r < 0)
                return r;
        if (access(root, F_OK) < 0)
                return 0;
        r = publish_remove(root, name, NULL, &in_use);
        remove_if_empty(root);
        return r == -ENOENT ? 0 : r;
}

int kept_tree_forget(const char *root_dir, const char *name, KeptTree *kept) {
        /* Releases our own locks, which would keep the tree from being removed. */
        kept_tree_done(kept);
        return drop(root_dir, name);
}

/* Can a definition use the tree? A definition that cannot be read may be edited just now, so its tree stays. */
static bool is_wanted(const Settings *settings, const char *name, const Generation *about) {
        _cleanup_definition_ Definition *definition = NULL;
        _cleanup_free_ char *path = NULL;
        Problem problem = { 0 };

        if (is_old(about))
                return false;
        int r = definition_find(settings, name, &path, NULL);
        if (r < 0)
                return r != -ENOENT;
        return definition_load(path, name, &definition, &problem) < 0 || fits(definition, about);
}

static int collect_locked(const Settings *settings, const char *name, bool all, bool dry_run) {
        _cleanup_generation_ Generation *about = NULL;
        _cleanup_image_ Image *image = NULL;

        int r = hold(settings->root_dir, name, &image, &about);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        if (!all && is_wanted(settings, name, about))
                return 0;
        if (dry_run)
                return 1;
        image_free(TAKE_PTR(image)); /* releases the lock, too */
        r = drop(settings->root_dir, name);
        return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

/* Removes the kept tree of image @name if nobody wants it; with @dry_run it only looks. Returns 1 for such a tree, 0
 * for others, or -errno. */
static int collect_one(const Settings *settings, const char *name, bool all, bool dry_run) {
        _cleanup_staging_ Staging staging = STAGING_NONE;

        /* If another process is making the image, it may use the tree or soon replace it. */
        int r = staging_try_lock(settings->root_dir, name, &staging);
        if (r < 0)
                return r == -EBUSY ? 0 : r;
        r = collect_locked(settings, name, all, dry_run);
        int q = staging_discard(&staging);
        return r < 0 || q >= 0 ? r : q;
}

int kept_tree_collect(const Settings *settings, bool all, bool dry_run, char ***names) {
        _cleanup_strv_ char **kept = NULL, **broken = NULL;
        _cleanup_free_ char *root = NULL;
        int result = 0;

        int r = image_root_path(settings->root_dir, IMAGE_ROOT_KEPT, &root);
        if (r < 0)
                return r;
        r = image_list(root, &kept, &broken);
        if (r < 0)
                return r;
        if (broken)
                result = -EIO;
        for (char **name = kept; name && *name; name++) {
                r = collect_one(settings, *name, all, dry_run);
                if (r > 0)
                        r = strv_extend(names, *name);
                if (r < 0 && result == 0)
                        result = r;
        }
        return result;
}
