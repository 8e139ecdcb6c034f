/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Trees that wait for the next try (maintain/make.c). A directory of images of its own does all the work: a kept tree is
 * made, published, locked and removed as an image is, and only this file knows that jobs cannot name it. */

#include "maintain/kept-tree.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "base/string.h"
#include "image/generation-collect.h"
#include "image/publish.h"
#include "source/source.h"

/* A week: then the archive that it came from has moved on, too. */
#define AGE_MAX_USEC (7 * 24 * 3600 * USEC_PER_SEC)

int kept_tree_root(const char *root_dir, char **ret) {
        return string_printf(ret, "%s/" KEPT_TREE_DIRECTORY, root_dir);
}

static bool is_old(const Generation *about) {
        uint64_t now = clock_realtime_usec();

        return now > about->published_usec && now - about->published_usec > AGE_MAX_USEC;
}

/* Would the definition make the same tree again? Of an image of a registry and an archive, only their digest will say. */
static bool fits(const Definition *definition, const Generation *about) {
        _cleanup_free_ char *description = NULL, *recipe = NULL;

        return source_describe(&definition->source, &description) >= 0 &&
               source_recipe(&definition->source, &recipe) >= 0 && streq_null(description, about->source) &&
               (!recipe || streq_null(recipe, about->digest)) && !definition->recreate;
}

/* Whatever is there. */
static int hold(const char *root_dir, const char *name, Image **ret, Generation **ret_about) {
        _cleanup_generation_ Generation *about = NULL;
        _cleanup_image_ Image *image = NULL;
        _cleanup_free_ char *root = NULL;

        int r = kept_tree_root(root_dir, &root);
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

/* The last one leaves nothing. */
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

        int r = kept_tree_root(root_dir, &root);
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

        int r = kept_tree_root(root_dir, &root);
        if (r < 0)
                return r;
        if (access(root, F_OK) < 0)
                return 0;
        r = publish_remove(root, name, NULL, &in_use);
        remove_if_empty(root);
        return r == -ENOENT ? 0 : r;
}

int kept_tree_forget(const char *root_dir, const char *name, KeptTree *kept) {
        /* Our own locks would be in the way. */
        kept_tree_done(kept);
        return drop(root_dir, name);
}

/* One that cannot be read is being edited, perhaps. */
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

/* 1: it is none that anybody wants, and gone unless @dry_run. */
static int collect_one(const Settings *settings, const char *name, bool dry_run) {
        _cleanup_generation_ Generation *about = NULL;
        _cleanup_staging_ Staging staging = STAGING_NONE;
        _cleanup_image_ Image *image = NULL;

        /* Who makes the image uses it, or is about to replace it. */
        int r = staging_try_lock(settings->root_dir, name, &staging);
        if (r < 0)
                return r == -EBUSY ? 0 : r;
        r = hold(settings->root_dir, name, &image, &about);
        bool wanted = r >= 0 && is_wanted(settings, name, about);
        image_free(TAKE_PTR(image));
        if (r >= 0 && !wanted && !dry_run)
                r = drop(settings->root_dir, name);
        int q = staging_discard(&staging);
        if (r < 0 || q < 0)
                return r == -ENOENT ? 0 : r < 0 ? r : q;
        return !wanted;
}

int kept_tree_collect(const Settings *settings, bool dry_run, char ***names) {
        _cleanup_strv_ char **kept = NULL;
        _cleanup_free_ char *root = NULL;
        int result = 0;

        int r = kept_tree_root(settings->root_dir, &root);
        if (r < 0)
                return r;
        r = image_list(root, &kept);
        if (r < 0)
                return r;
        for (char **name = kept; name && *name; name++) {
                r = collect_one(settings, *name, dry_run);
                if (r > 0)
                        r = strv_extend(names, *name);
                if (r < 0 && result == 0)
                        result = r;
        }
        return result;
}
