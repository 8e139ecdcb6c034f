/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides whether binds can be used together. The readers of the configuration and of definitions call this before
 * anything is started with binds. It must never look at the host: tomorrow a path may lead somewhere else. */

#include "config/binds.h"

#include "base/string.h"
#include "tree/check.h"

char *bind_source(const char *bind) {
        return strndup(bind, strcspn(bind, ":"));
}

const char *bind_target(const char *bind) {
        const char *colon = strchr(bind, ':');

        return colon ? colon + 1 : bind;
}

static bool is_or_is_below(const char *inner, const char *outer) {
        return streq(inner, outer) || path_is_below(inner, outer);
}

static bool overlap(const char *a, const char *b) {
        return is_or_is_below(a, b) || path_is_below(b, a);
}

/* An item of `bind` or `bind_ro`, split into its parts. */
typedef struct Bind {
        char *source;
        const char *target;
        const char *setting;
        bool writable;
} Bind;

typedef struct Binds {
        Bind *items;
        size_t n;
} Binds;

static void binds_done(Binds *binds) {
        for (size_t i = 0; i < binds->n; i++)
                free(binds->items[i].source);
        free(binds->items);
}
#define _cleanup_binds_ _cleanup_(binds_done)

static int binds_collect(const Settings *settings, Binds *ret) {
        const size_t n_writable = strv_length(settings->bind), n = n_writable + strv_length(settings->bind_ro);

        ret->items = calloc(n + 1, sizeof(Bind));
        if (!ret->items)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const bool writable = i < n_writable;
                const char *text = writable ? settings->bind[i] : settings->bind_ro[i - n_writable];

                ret->items[i] = (Bind){
                        .source = bind_source(text),
                        .target = bind_target(text),
                        .setting = writable ? "bind" : "bind_ro",
                        .writable = writable,
                };
                ret->n++;
                if (!ret->items[i].source)
                        return -ENOMEM;
        }
        return 0;
}

static int check_pair(const Bind *outer, const Bind *inner, Problem *reterr_problem) {
        if (outer < inner && streq(outer->target, inner->target))
                return problem_set(reterr_problem, -EINVAL,
                                   "'%s' and '%s' have the same target '%s' in bind and bind_ro", outer->source,
                                   inner->source, inner->target);
        if (!outer->writable)
                return 0;
        if (path_is_below(inner->source, outer->source))
                return problem_set(reterr_problem, -EINVAL,
                                   "%s: '%s' is below '%s', which jobs may write to: a job could put a symlink in its "
                                   "place. Move it elsewhere, or remove one of the two settings",
                                   inner->setting, inner->source, outer->source);
        return 0;
}

/* Refuses a target of @binds that is below another one in which jobs may write, because of one of @writers. */
static int check_nested(const Binds *binds, const Binds *writers, const char *whose, Problem *reterr_problem) {
        for (size_t i = 0; i < binds->n; i++)
                for (size_t k = 0; k < binds->n; k++) {
                        const Bind *outer = binds->items + i, *inner = binds->items + k;

                        if (!path_is_below(inner->target, outer->target))
                                continue;
                        for (size_t w = 0; w < writers->n; w++)
                                if (writers->items[w].writable && overlap(writers->items[w].source, outer->source))
                                        return problem_set(
                                                reterr_problem, -EINVAL,
                                                "%s: target '%s' of '%s' is below '%s', which %s may write to: a "
                                                "job could put a symlink in its place. Give it another target",
                                                inner->setting, inner->target, inner->source, outer->target, whose);
                }
        return 0;
}

static int check_directories(const Settings *settings, const Bind *bind, Problem *reterr_problem) {
        const struct {
                const char *name, *path;
                bool secret;
        } directories[] = {
                { "root_dir", settings->root_dir, true },
                { "runtime_dir", settings->runtime_dir, true },
                { "definitions_dir", settings->definitions_dir, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                const char *name = directories[i].name, *path = directories[i].path;

                if (!path) /* a definition has no such directory of its own */
                        continue;
                if ((bind->writable || directories[i].secret) && is_or_is_below(bind->source, path))
                        return problem_set(reterr_problem, -EINVAL,
                                           "%s: '%s' is in %s '%s', which jobs must not have: bind another path",
                                           bind->setting, bind->source, name, path);
                if (bind->writable && path_is_below(path, bind->source))
                        return problem_set(reterr_problem, -EINVAL,
                                           "%s: '%s' contains %s '%s', where jobs must not write: bind another path",
                                           bind->setting, bind->source, name, path);
        }
        return 0;
}

/* Checks a target by its text. Where symlinks of the image lead is checked when a container starts (tree_check()). */
static int check_target(const Bind *bind, Problem *reterr_problem) {
        if (!tree_place_is_reserved(bind->target))
                return 0;
        return problem_set(reterr_problem, -EINVAL,
                           "%s: '%s' cannot be mounted on '%s', which containers need for themselves: give it another "
                           "target, such as '%s:/mnt%s'",
                           bind->setting, bind->source, bind->target, bind->source, bind->target);
}

static int check_bind(const Settings *settings, const Binds *binds, const Bind *bind, Problem *reterr_problem) {
        int r = check_directories(settings, bind, reterr_problem);
        if (r < 0)
                return r;
        r = check_target(bind, reterr_problem);
        if (r < 0)
                return r;
        for (size_t i = 0; i < binds->n; i++) {
                r = check_pair(bind, binds->items + i, reterr_problem);
                if (r < 0)
                        return r;
        }
        return 0;
}

int binds_check(const Settings *settings, Problem *reterr_problem) {
        _cleanup_binds_ Binds binds = { 0 };

        int r = binds_collect(settings, &binds);
        if (r < 0)
                return r;
        for (size_t i = 0; i < binds.n; i++) {
                r = check_bind(settings, &binds, binds.items + i, reterr_problem);
                if (r < 0)
                        return r;
        }
        return check_nested(&binds, &binds, "jobs", reterr_problem);
}

int binds_check_between(const Settings *ours, const Settings *theirs, const char *whose, Problem *reterr_problem) {
        _cleanup_binds_ Binds a = { 0 }, b = { 0 };

        int r = binds_collect(ours, &a);
        if (r < 0)
                return r;
        r = binds_collect(theirs, &b);
        if (r < 0)
                return r;
        for (size_t i = 0; i < a.n; i++)
                for (size_t k = 0; k < b.n; k++) {
                        const Bind *mine = a.items + i, *other = b.items + k;

                        if (other->writable && path_is_below(mine->source, other->source))
                                return problem_set(reterr_problem, -EINVAL,
                                                   "%s: '%s' is below '%s', which %s may write to: a job could put a "
                                                   "symlink in its place. Move it elsewhere",
                                                   mine->setting, mine->source, other->source, whose);
                        if (mine->writable && path_is_below(other->source, mine->source))
                                return problem_set(
                                        reterr_problem, -EINVAL,
                                        "%s: '%s' contains '%s', which %s get: a job could put a symlink in its "
                                        "place. Bind another path",
                                        mine->setting, mine->source, other->source, whose);
                }
        r = check_nested(&a, &b, whose, reterr_problem);
        return r < 0 ? r : check_nested(&b, &a, "jobs", reterr_problem);
}
