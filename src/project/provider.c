/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Gives an evaluation its files: those of the working copy, and of directories that stand in for other projects and
 * servers; what fetch.c has is used where there is no such directory. Called through the struct PipelineProvider only. No
 * symlink may lead out of its tree. */

#include <fcntl.h>
#include <fts.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "project/checkout.h"
#include "project/git.h"

#define FILE_BYTES_MAX ((size_t) 4 * 1024 * 1024)
#define PATHS_MAX ((size_t) 1000000)

/* Finds the directory that stands in for "HOST/PATH/rest": the longest name wins. *ret_rest is the rest of @path. */
static const char *find_root(const Checkout *checkout, const char *path, const char **ret_rest) {
        const char *own = checkout->fetch ? startswith(path, checkout->fetch->host) : NULL, *directory = NULL;
        const char *without_host = own && *own == '/' ? own : strchr(path, '/');
        size_t best = 0;

        for (const IncludeRoot *root = checkout->include_roots; root && root->name; root++)
                for (unsigned i = 0; i < 2; i++) {
                        const char *from = i == 0 ? path : without_host ? without_host + 1 : "";
                        const char *rest = startswith(from, root->name);

                        if (!rest || (*rest != '/' && *rest) || strlen(root->name) <= best)
                                continue;
                        best = strlen(root->name);
                        directory = root->directory;
                        *ret_rest = rest + strspn(rest, "/");
                }
        return directory;
}

/* Opens the directory that stands in for @root, and finds out where @path is in it. Returns a descriptor to be closed;
 * -EUNATCH: there is none; or another -errno. */
static int open_root(const Checkout *checkout, const char *root, const char *path, char **ret_path) {
        _cleanup_free_ char *whole = NULL;
        const char *rest = path;

        int r = string_printf(&whole, "%s/%s", root, path);
        if (r < 0)
                return r;
        const char *directory = find_root(checkout, whole, &rest);
        if (!directory)
                return -EUNATCH;
        r = string_replace(ret_path, rest);
        if (r < 0)
                return r;
        int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int provider_read(void *userdata, const PipelineRoot *root, const char *path, char **ret_data, size_t *ret_size,
                         const char **reterr_why) {
        const Checkout *checkout = userdata;
        _cleanup_free_ char *rest = NULL;

        *reterr_why = NULL;
        if (!root)
                return file_read_in_root(checkout->top_fd, path, FILE_BYTES_MAX, ret_data, ret_size);
        _cleanup_close_ int fd = open_root(checkout, root->name, path, &rest);
        if (fd == -EUNATCH && checkout->fetch)
                return fetch_read(checkout->fetch, root, path, ret_data, ret_size, reterr_why);
        return fd < 0 ? fd : file_read_in_root(fd, rest, FILE_BYTES_MAX, ret_data, ret_size);
}

static int provider_resolve(void *userdata, const PipelineRoot *root, PipelineCommit *ret) {
        const Checkout *checkout = userdata;
        const char *rest;

        if (!checkout->fetch || find_root(checkout, root->name, &rest))
                return -EUNATCH;
        return fetch_resolve(checkout->fetch, root, ret);
}

/* A list of strings that grows by more than one at a time. */
typedef struct PathList {
        char **paths;
        size_t n, allocated;
} PathList;

static int path_list_add(PathList *list, const char *path) {
        if (list->n >= PATHS_MAX)
                return -E2BIG;
        if (list->n + 2 > list->allocated) {
                size_t allocated = MAX(2 * list->allocated, (size_t) 256);
                char **grown = reallocarray(list->paths, allocated, sizeof(char *));

                if (!grown)
                        return -ENOMEM;
                list->paths = grown;
                list->allocated = allocated;
        }
        list->paths[list->n + 1] = NULL;
        list->paths[list->n] = strdup(path);
        return list->paths[list->n++] ? 0 : -ENOMEM;
}

static void path_list_done(PathList *list) {
        strv_free(list->paths);
}

static void fts_closep(FTS **fts) {
        if (*fts)
                fts_close(*fts);
}

/* Lists all files below a directory that is no repository. */
static int walk(const char *directory, char ***ret) {
        char *roots[] = { (char *) directory, NULL };
        _cleanup_(path_list_done) PathList list = { .paths = calloc(1, sizeof(char *)) };

        if (!list.paths)
                return -ENOMEM;
        _cleanup_(fts_closep) FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
        if (!fts)
                return -errno;
        for (FTSENT *entry; (entry = fts_read(fts));) {
                if (entry->fts_info == FTS_D && streq(entry->fts_name, ".git"))
                        fts_set(fts, entry, FTS_SKIP);
                if (entry->fts_info != FTS_F && entry->fts_info != FTS_SL && entry->fts_info != FTS_SLNONE)
                        continue;
                const char *name = entry->fts_path + strlen(directory);
                int r = path_list_add(&list, name + strspn(name, "/"));
                if (r < 0)
                        return r;
        }
        strv_sort(list.paths);
        *ret = TAKE_PTR(list.paths);
        return 0;
}

/* Lists the files that a job gets: tracked files that exist, and others that are not ignored. */
static int list_own(Checkout *checkout) {
        if (checkout->paths)
                return 0;
        if (!checkout->is_git)
                return walk(checkout->top, &checkout->paths);
        int r = git_list(checkout->top, ARGV("ls-files", "-z", "--cached", "--others", "--exclude-standard"),
                         &checkout->paths);
        if (r < 0)
                return r;
        size_t n = 0;
        for (char **path = checkout->paths; *path; path++) {
                if (exists_at(checkout->top_fd, *path))
                        checkout->paths[n++] = *path;
                else
                        free(*path);
        }
        checkout->paths[n] = NULL;
        strv_sort_unique(checkout->paths);
        return 0;
}

/* Lists a directory that stands in for @root. */
static int list_other(Checkout *checkout, const char *root, const char *directory, const char *rest,
                      char *const **ret_paths) {
        _cleanup_strv_ char **paths = NULL;

        if (streq_null(checkout->other_root, root)) {
                *ret_paths = checkout->other_paths;
                return 0;
        }
        _cleanup_free_ char *below = NULL;
        int r = string_printf(&below, "%s/%s", directory, rest);
        if (r < 0)
                return r;
        r = walk(below, &paths);
        if (r < 0)
                return r;
        r = string_replace(&checkout->other_root, root);
        if (r < 0)
                return r;
        strv_free(checkout->other_paths);
        *ret_paths = checkout->other_paths = TAKE_PTR(paths);
        return 0;
}

static int provider_list(void *userdata, const PipelineRoot *root, char *const **ret_paths, const char **reterr_why) {
        Checkout *checkout = userdata;
        const char *rest = "";

        *reterr_why = NULL;
        if (!root) {
                int r = list_own(checkout);
                *ret_paths = checkout->paths;
                return r;
        }
        const char *directory = find_root(checkout, root->name, &rest);
        if (directory)
                return list_other(checkout, root->name, directory, rest, ret_paths);
        return checkout->fetch ? fetch_list(checkout->fetch, root, ret_paths, reterr_why) : -EUNATCH;
}

int checkout_find_base(const Checkout *checkout, char **ret) {
        _cleanup_free_ char *remote = NULL;

        if (!checkout->is_git || !checkout->commit || checkout->all_changed)
                return -ENODATA;
        int r = string_printf(&remote, "origin/%s", checkout->default_branch);
        if (r < 0)
                return r;
        const char *const candidates[] = { remote, checkout->default_branch };
        for (size_t i = 0; i < ELEMENTSOF(candidates); i++) {
                r = git_ask(checkout->top, ARGV("merge-base", "HEAD", candidates[i]), ret);
                if (r == -ENOENT)
                        continue;
                if (r < 0 || !streq(*ret, checkout->commit))
                        return r;
        }
        return checkout->parent ? string_replace(ret, checkout->parent) : -ENODATA;
}

/* Finds the commit that @name means on the server, where there are no remotes, as far as it is known here. */
static int find_compared(const Checkout *checkout, const char *name, char **ret) {
        const char *branch = startswith(name, "refs/heads/");
        _cleanup_free_ char *remote = NULL;

        int r = string_printf(&remote, "refs/remotes/origin/%s", branch ? branch : name);
        if (r < 0)
                return r;
        r = checkout_find_commit(checkout, remote, ret);
        return r == -ENOENT ? checkout_find_commit(checkout, name, ret) : r;
}

/* Finds the commit that changes are counted from. @compare_to may be NULL. */
static int find_changes_base(const Checkout *checkout, const char *compare_to, char **ret) {
        _cleanup_free_ char *commit = NULL;

        if (!compare_to || !checkout->is_git)
                return checkout_find_base(checkout, ret);
        int r = find_compared(checkout, compare_to, &commit);
        if (r < 0)
                return r;
        r = git_ask(checkout->top, ARGV("merge-base", "HEAD", commit), ret);
        return r == -ENOENT ? -ENOLINK : r;
}

/* Lists tracked files that changed since @base, and files that are not tracked. */
static int list_changes(const char *top, const char *base, char ***ret) {
        _cleanup_strv_ char **changed = NULL, **others = NULL, **config = NULL;

        int r = git_own_filters_off(top, &config);
        if (r < 0)
                return r;
        const GitCall call = { .directory = top, .config = config };
        /* In a submodule, git would look for changed files with the filters that this one's own configuration names. */
        r = git_list_call(&call,
                          ARGV("diff", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv",
                               "--ignore-submodules=dirty", "-z", base, "--"),
                          &changed);
        if (r < 0)
                return r;
        r = git_list(top, ARGV("ls-files", "-z", "--others", "--exclude-standard"), &others);
        if (r < 0)
                return r;
        r = strv_extend_strv(&changed, others);
        if (r < 0)
                return r;
        strv_sort_unique(changed);
        *ret = TAKE_PTR(changed);
        return 0;
}

static int provider_changes(void *userdata, const char *compare_to, char *const **ret_paths) {
        Checkout *checkout = userdata;
        _cleanup_free_ char *base = NULL;
        _cleanup_strv_ char **changed = NULL;

        int r = find_changes_base(checkout, compare_to, &base);
        if (r < 0)
                return r;
        if (streq_null(checkout->changes_base, base)) {
                *ret_paths = checkout->changes;
                return 0;
        }
        r = list_changes(checkout->top, base, &changed);
        if (r < 0)
                return r;
        r = string_replace(&checkout->changes_base, base);
        if (r < 0)
                return r;
        strv_free(checkout->changes);
        *ret_paths = checkout->changes = TAKE_PTR(changed);
        return 0;
}

PipelineProvider checkout_provider(Checkout *checkout) {
        return (PipelineProvider){
                .read = provider_read,
                .list = provider_list,
                .resolve = provider_resolve,
                .changes = provider_changes,
                .userdata = checkout,
        };
}
