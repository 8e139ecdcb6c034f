/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `gc`: removes what dead jobs and interrupted commands left: jobs, locks, half-made images, old generations.
 * Never touches what a living process holds, however old it is. */

#include "base/fd.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/busy.h"
#include "cli/commands.h"
#include "container/uid-range.h"
#include "machine/collect.h"
#include "maintain/image-roots.h"
#include "maintain/kept-tree.h"
#include "maintain/push-image.h"
#include "storage/trash.h"
#include "store/store.h"
#include "terminal/table.h"

typedef struct Gc {
        const Settings *settings;
        bool dry_run;
        Table *json; /* NULL: messages say what was removed */
        size_t n;    /* how many things that was */
} Gc;

/* Tells what was found, or what was removed. */
static void say(Gc *gc, const char *what, char *const *names) {
        for (; names && *names; names++) {
                gc->n++;
                if (!gc->json)
                        log_notice("%s %s %s", gc->dry_run ? "Would remove" : "Removed", what, *names);
                else if (table_add(gc->json, (const char *const[]){ what, *names }) < 0)
                        (void) log_oom();
        }
}

/* In all directories of images. 0 or -errno, logged. */
static int collect_images(Gc *gc) {
        int result = 0;

        for (ImageRootId id = 0; id < IMAGE_ROOTS; id++) {
                _cleanup_free_ char *path = NULL;

                if (image_root_path(gc->settings->root_dir, id, &path) < 0)
                        return log_oom();
                for (size_t i = 0; i < IMAGE_LEFTOVERS; i++) {
                        const ImageLeftover *leftover = image_leftovers + i;
                        _cleanup_strv_ char **names = NULL;

                        int r = leftover->collect(path, gc->dry_run, &names);
                        if (r < 0)
                                result = log_error_errno(r, "Cannot remove all %s in '%s': %m", leftover->plural, path);
                        say(gc, leftover->name, names);
                }
        }
        return result;
}

/* Trees that wait for the next try. */
static int collect_kept(Gc *gc) {
        _cleanup_strv_ char **names = NULL;

        int r = kept_tree_collect(gc->settings, false, gc->dry_run, &names);
        if (r < 0)
                (void) log_error_errno(r, "Cannot remove all kept trees in '%s/" KEPT_TREE_DIRECTORY "': %m",
                                       gc->settings->root_dir);
        say(gc, "kept tree of image", names);
        return r;
}

static int collect_pushed(Gc *gc) {
        _cleanup_strv_ char **names = NULL;

        int r = pushed_collect(gc->settings->root_dir, false, gc->dry_run, &names);
        if (r < 0)
                (void) log_error_errno(r, "Cannot remove what is left of exports in '%s/" PUSHED_DIRECTORY "': %m",
                                       gc->settings->root_dir);
        say(gc, "what was exported or pushed:", names);
        return r;
}

/* Empties the trash, or lists what is in it: in @names. 0 or -errno, logged. */
static int empty_trash(const Gc *gc, char ***names) {
        _cleanup_close_ int trash_fd = trash_open(gc->settings->root_dir, false);

        if (trash_fd == -ENOENT)
                return 0;
        int r = trash_fd < 0 ? trash_fd :
                gc->dry_run  ? trash_list(trash_fd, names) :
                               trash_empty(trash_fd, USEC_INFINITY, names);
        if (r < 0)
                (void) log_error_errno(r, "Cannot remove all that ended jobs left in '%s/" TRASH_DIRECTORY "': %m",
                                       gc->settings->root_dir);
        return r;
}

/* Caches and working copies that no job has, where all together are larger than they may be. */
static int collect_store(Gc *gc, const PlaceKind *kind, uint64_t max_bytes) {
        _cleanup_strv_ char **names = NULL;
        int result = 0;

        int r = gc->dry_run ? 0 : store_measure(gc->settings->root_dir, kind);
        if (r < 0)
                result = log_error_errno(r, "Cannot find out how large all directories in '%s/%s' are: %m",
                                         gc->settings->root_dir, kind->directory);
        r = store_shrink(gc->settings->root_dir, kind, max_bytes, NULL, gc->dry_run, &names);
        if (r < 0)
                result = log_error_errno(r, "Cannot make room in '%s/%s': %m", gc->settings->root_dir, kind->directory);
        say(gc, kind->name, names);
        return result;
}

static int collect_places(Gc *gc) {
        int r = collect_store(gc, &place_caches, gc->settings->cache_size);
        int q = collect_store(gc, &place_builds, gc->settings->builds_size);

        return r < 0 ? r : q;
}

static void collect_jobs(Gc *gc, int *result) {
        _cleanup_strv_ char **jobs = NULL, **locks = NULL;

        int r = gc->dry_run ? machine_list_dead(gc->settings, true, &jobs) : machine_collect(gc->settings, true, &jobs);
        if (r < 0)
                *result = log_error_errno(r, "Cannot remove all of the dead jobs: %m");
        say(gc, "job", jobs);

        int n = uid_range_collect(gc->dry_run);
        if (n < 0)
                *result = log_error_errno(n, "Cannot look for user ID locks: %m");
        if (n > 0 && strv_extendf(&locks, "%d, which nobody holds", n) >= 0)
                say(gc, "user ID locks:", locks);
}

/* 0 or -errno, logged. */
static int collect(Gc *gc) {
        _cleanup_strv_ char **rests = NULL;
        int result = 0;

        int r = empty_trash(gc, &rests);
        if (r < 0)
                result = r;
        say(gc, "the rest of job", rests);
        collect_jobs(gc, &result);

        r = collect_images(gc);
        if (r < 0)
                result = r;
        r = collect_kept(gc);
        if (r < 0)
                result = r;
        r = collect_pushed(gc);
        if (r < 0)
                result = r;
        r = collect_places(gc);
        if (r < 0)
                result = r;
        /* What was removed is there now. */
        r = gc->dry_run ? 0 : empty_trash(gc, NULL);
        return r < 0 ? r : result;
}

static int run(const Invocation *invocation) {
        static const TableColumn columns[] = { { "kind", COLUMN_TEXT }, { "name", COLUMN_TEXT }, { 0 } };
        _cleanup_table_ Table *table = NULL;
        Gc gc = { .settings = invocation->settings, .dry_run = invocation_has(invocation, "dry-run") };

        if (invocation_has(invocation, "json")) {
                int r = table_new_logged(gc.dry_run ? "removable" : "removed", columns, true, &table);
                if (r < 0)
                        return r;
                gc.json = table;
        }
        busy_begin(gc.dry_run ? "Looking for what can go" : "Removing");
        int r = collect(&gc);
        busy_end();
        if (table && table_print(table) < 0)
                return log_full(LOG_LEVEL_ERROR, -EIO, "Cannot print the list");
        if (r == 0 && gc.n == 0 && !table)
                log_notice("Nothing to remove");
        return r;
}

static const CommandOption options[] = {
        { "dry-run", NULL, "only list what would be removed", 0 },
        { "json", NULL, "print JSON, for programs", 0 },
        { 0 },
};

const Command command_gc = {
        .name = "gc",
        .synopsis = "",
        .options = options,
        .flags = COMMAND_ROOT,
        .run = run,
        .help = "Clean up after dead jobs and interrupted builds",
};
