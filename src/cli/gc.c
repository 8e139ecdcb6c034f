/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `gc`: removes what dead jobs and interrupted commands left: jobs, locks, half-made images, old generations.
 * Never touches what a living process holds, however old it is. */

#include "base/fd.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/commands.h"
#include "container/uid-range.h"
#include "image/generation-collect.h"
#include "machine/collect.h"
#include "maintain/image-cache.h"
#include "maintain/kept-tree.h"
#include "storage/trash.h"
#include "store/store.h"

/* Prints what was found, or what was removed. */
static void say(bool dry_run, const char *what, char *const *names) {
        for (; names && *names; names++)
                log_notice("%s %s %s", dry_run ? "Would remove" : "Removed", what, *names);
}

/* In one directory of images; counts what there was. 0 or -errno, logged. */
static int collect_images(const char *root_dir, bool dry_run, size_t *n) {
        _cleanup_strv_ char **staging = NULL, **generations = NULL;
        int result = 0;

        int r = staging_collect(root_dir, dry_run, &staging);
        if (r < 0)
                result = log_error_errno(r, "Cannot remove all half-made images in '%s': %m", root_dir);
        say(dry_run, "half-made image", staging);

        r = generations_collect(root_dir, dry_run, &generations);
        if (r < 0)
                result = log_error_errno(r, "Cannot remove all old generations of images in '%s': %m", root_dir);
        say(dry_run, "old generation", generations);
        *n += strv_length(staging) + strv_length(generations);
        return result;
}

/* Trees that wait for the next try. */
static int collect_kept(const Settings *settings, bool dry_run, size_t *n) {
        _cleanup_strv_ char **names = NULL;
        _cleanup_free_ char *root = NULL;

        int r = kept_tree_root(settings->root_dir, &root);
        if (r < 0)
                return log_oom();
        int result = collect_images(root, dry_run, n);
        r = kept_tree_collect(settings, false, dry_run, &names);
        if (r < 0)
                result = log_error_errno(r, "Cannot remove all kept trees in '%s': %m", root);
        say(dry_run, "kept tree of image", names);
        *n += strv_length(names);
        return result;
}

/* Empties the trash, or lists what is in it: in @names. 0 or -errno, logged. */
static int empty_trash(const Settings *settings, bool dry_run, char ***names) {
        _cleanup_close_ int trash_fd = trash_open(settings->root_dir, false);

        if (trash_fd == -ENOENT)
                return 0;
        int r = trash_fd < 0 ? trash_fd :
                dry_run      ? trash_list(trash_fd, names) :
                               trash_empty(trash_fd, USEC_INFINITY, names);
        if (r < 0)
                (void) log_error_errno(r, "Cannot remove all that ended jobs left in '%s/" TRASH_DIRECTORY "': %m",
                                       settings->root_dir);
        return r;
}

/* Caches and working copies that no job has, where all together are larger than they may be. */
static int collect_store(const Settings *settings, const PlaceKind *kind, uint64_t max_bytes, bool dry_run, size_t *n) {
        _cleanup_strv_ char **names = NULL;
        int result = 0;

        int r = dry_run ? 0 : store_measure(settings->root_dir, kind);
        if (r < 0)
                result = log_error_errno(r, "Cannot find out how large all directories in '%s/%s' are: %m",
                                         settings->root_dir, kind->directory);
        r = store_shrink(settings->root_dir, kind, max_bytes, NULL, dry_run, &names);
        if (r < 0)
                result = log_error_errno(r, "Cannot make room in '%s/%s': %m", settings->root_dir, kind->directory);
        say(dry_run, kind->name, names);
        *n += strv_length(names);
        return result;
}

static int collect_places(const Settings *settings, bool dry_run, size_t *n) {
        int r = collect_store(settings, &place_caches, settings->cache_size, dry_run, n);
        int q = collect_store(settings, &place_builds, settings->builds_size, dry_run, n);

        return r < 0 ? r : q;
}

static int run(const Invocation *invocation) {
        const Settings *settings = invocation->settings;
        _cleanup_strv_ char **jobs = NULL, **rests = NULL;
        _cleanup_free_ char *cache = NULL;
        size_t n_others = 0;
        bool dry_run = invocation_has(invocation, "dry-run");
        int result = 0;

        int r = empty_trash(settings, dry_run, &rests);
        if (r < 0)
                result = r;
        say(dry_run, "the rest of job", rests);
        n_others += strv_length(rests);

        r = dry_run ? machine_list_dead(settings, true, &jobs) : machine_collect(settings, true, &jobs);
        if (r < 0)
                result = log_error_errno(r, "Cannot remove all of the dead jobs: %m");
        say(dry_run, "job", jobs);

        int n_locks = uid_range_collect(dry_run);
        if (n_locks < 0)
                result = log_error_errno(n_locks, "Cannot look for user ID locks: %m");
        else if (n_locks > 0)
                log_notice("%s %d user ID lock%s that nobody holds", dry_run ? "Would remove" : "Removed", n_locks,
                           n_locks == 1 ? "" : "s");

        r = collect_images(settings->root_dir, dry_run, &n_others);
        if (r < 0)
                result = r;
        r = image_cache_root(settings->root_dir, &cache);
        if (r < 0)
                return log_oom();
        r = collect_images(cache, dry_run, &n_others);
        if (r < 0)
                result = r;
        r = collect_kept(settings, dry_run, &n_others);
        if (r < 0)
                result = r;

        r = collect_places(settings, dry_run, &n_others);
        if (r < 0)
                result = r;
        /* What was removed is there now. */
        if (!dry_run && empty_trash(settings, false, NULL) < 0)
                result = -EBUSY;

        if (result == 0 && strv_length(jobs) == 0 && n_locks == 0 && n_others == 0)
                log_notice("Nothing to remove");
        return result;
}

static const CommandOption options[] = {
        { "dry-run", NULL, "only list what would be removed", 0 },
        { 0 },
};

const Command command_gc = {
        .name = "gc",
        .synopsis = "",
        .options = options,
        .run = run,
        .help = "Clean up after dead jobs and interrupted builds",
};
