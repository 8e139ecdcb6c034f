/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes the bundle of a pipeline's sources. Called by sources-maker.c, as the user whose working copy it is.
 * The repository is not trusted: paths are opened without following symlinks, and git runs as for all else. */

#include "local/sources.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "local/sources-commit.h"
#include "local/sources-compare.h"
#include "local/sources-repository.h"
#include "project/git.h"

/* Directory by directory: the files of one come one after the other. */
typedef struct Directory {
        int top_fd, fd;
        size_t n;
        const char *path; /* its first @n bytes */
} Directory;

static int enter(Directory *directory, const char *path) {
        const char *slash = strrchr(path, '/');
        size_t n = slash ? (size_t) (slash - path) : 0;
        char parent[BUNDLE_PATH_MAX + 1];

        if (directory->fd >= 0 && directory->n == n && strncmp(directory->path, path, n) == 0)
                return 0;
        closep(&directory->fd);
        memcpy(parent, path, n);
        parent[n] = 0;
        directory->path = path;
        directory->n = n;
        directory->fd = open_without_symlinks(directory->top_fd, n > 0 ? parent : ".", O_RDONLY | O_DIRECTORY);
        return directory->fd < 0 ? directory->fd : 0;
}

static void leave(Directory *directory) {
        closep(&directory->fd);
}

static int put_tree(Sources *sources, int top_fd, const char *top, const char *prefix, char *const *paths,
                    SourcesCompared *compared, unsigned depth);

/* The files of a submodule, if it is checked out, and wanted: else its directory is empty, as git leaves it. */
static int put_submodule(Sources *sources, int top_fd, const char *top, const char *prefix, const char *path,
                         unsigned depth) {
        _cleanup_free_ char *below = NULL, *inside = NULL;
        _cleanup_strv_ char **paths = NULL;

        int r = string_printf(&inside, "%s%s/", prefix, path);
        if (r < 0)
                return r;
        _cleanup_free_ char *directory = strndup(inside, strlen(inside) - 1);
        if (!directory)
                return -ENOMEM;
        if (!sources->request->submodules || (depth > 0 && !sources->request->recursive) || depth > 20)
                return sources_put_directory(sources, directory);
        r = string_printf(&below, "%s/%s", top, path);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = open_without_symlinks(top_fd, path, O_RDONLY | O_DIRECTORY);
        if (fd < 0 || !exists_at(fd, ".git"))
                return sources_put_empty_submodule(sources, directory);
        r = git_list(below, ARGV("ls-files", "-z", "--cached", "--others", "--exclude-standard"), &paths);
        if (r < 0)
                return r == -ENOENT ? sources_put_empty_submodule(sources, directory) : r;
        r = sources_put_directory(sources, directory);
        if (r < 0)
                return r;
        strv_sort_unique(paths);
        return put_tree(sources, fd, below, inside, paths, NULL, depth + 1);
}

static int put_tree(Sources *sources, int top_fd, const char *top, const char *prefix, char *const *paths,
                    SourcesCompared *compared, unsigned depth) {
        _cleanup_(leave) Directory directory = { .top_fd = top_fd, .fd = -EBADF };
        char whole[BUNDLE_PATH_MAX + 1];

        for (; *paths; paths++) {
                const char *path = *paths, *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

                if (!bundle_path_is_plain(path) ||
                    (size_t) snprintf(whole, sizeof(whole), "%s%s", prefix, path) >= sizeof(whole))
                        continue;
                int r = enter(&directory, path);
                /* It went meanwhile, or a symlink is where its directory was. */
                if (r == -ENOENT || r == -ELOOP || r == -ENOTDIR)
                        continue;
                if (r < 0)
                        return r;
                r = sources_put_file(sources, directory.fd, name, whole,
                                     compared && sources_compared_clean(compared, path));
                if (r == SOURCES_DIRECTORY)
                        r = put_submodule(sources, top_fd, top, prefix, path, depth);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int list_working_copy(const SourcesRequest *request, char *const **ret, const char **reterr_what) {
        const char *why;

        *reterr_what = "Cannot list the files of the working copy";
        return request->provider->list(request->provider->userdata, NULL, ret, &why);
}

static int put_committed(Sources *sources, const char **reterr_what) {
        *reterr_what = "Cannot read the files of the commit";
        return sources->request->checkout->commit ? sources_put_commit(sources) : -ENODATA;
}

static int put_repository(Sources *sources, SourcesRepository *repository, const char **reterr_what) {
        *reterr_what = "Cannot copy the commit that is checked out";
        int r = sources_repository_wait(sources->request, repository);
        if (r < 0)
                return r;
        r = sources_put_repository(sources, repository->path);
        sources_repository_done(repository); /* others may be waiting */
        return r;
}

/* What git copies does not change. */
static const struct timespec never = { .tv_sec = INT64_MAX };

static int put_commit(Sources *sources, SourcesRepository *repository, const char **reterr_what) {
        sources->knows = true;
        sources->compared = never;
        int r = repository ? put_repository(sources, repository, reterr_what) : 0;
        return r < 0 ? r : put_committed(sources, reterr_what);
}

/* The files are compared and listed while git copies commits. The index comes before them, with what is known of them. */
static int put_working_copy(Sources *sources, SourcesRepository *repository, const char **reterr_what) {
        _cleanup_sources_compared_ SourcesCompared compared = { 0 };
        const Checkout *checkout = sources->request->checkout;
        char *const *paths;

        *reterr_what = "Cannot compare the files of the working copy";
        int r = repository ? sources_compare(sources->request, &compared) : 0;
        if (r < 0 && r != -ENOENT) /* git failed: nothing is known */
                return r;
        r = list_working_copy(sources->request, &paths, reterr_what);
        if (r < 0)
                return r;
        sources->knows = compared.known;
        sources->compared = never;
        r = repository ? put_repository(sources, repository, reterr_what) : 0;
        if (r < 0)
                return r;
        sources->compared = compared.at;
        *reterr_what = "Cannot read the files of the working copy";
        return put_tree(sources, checkout->top_fd, checkout->top, "", paths, &compared, 0);
}

static int put_all(Sources *sources, int fd, const char **reterr_what) {
        _cleanup_sources_repository_ SourcesRepository opened = SOURCES_REPOSITORY_NONE;
        const SourcesRequest *request = sources->request;
        SourcesRepository *repository = NULL;

        int r = bundle_writer_init(&sources->writer, fd);
        if (r < 0)
                return r;
        if (request->checkout->is_git && request->checkout->commit) {
                repository = &opened;
                *reterr_what = "Cannot copy the commit that is checked out";
                r = sources_repository_begin(request, repository);
                if (r < 0)
                        return r;
        }
        r = request->committed ? put_commit(sources, repository, reterr_what) :
                                 put_working_copy(sources, repository, reterr_what);
        return r < 0 ? r : bundle_finish(&sources->writer);
}

static void sources_freep(Sources **sources) {
        if (*sources)
                strv_free((*sources)->empty);
        free(*sources);
}

int sources_make(const SourcesRequest *request, int fd, char ***ret_empty, Problem *reterr_problem) {
        _cleanup_(sources_freep) Sources *sources = calloc(1, sizeof(Sources));
        const char *what = "Cannot make the sources";

        if (!sources)
                return problem_set(reterr_problem, -ENOMEM, "%m");
        sources->request = request;
        int r = put_all(sources, fd, &what);
        bundle_writer_done(&sources->writer);
        if (r == -EACCES && sources->entry.path[0])
                return problem_set(reterr_problem, r,
                                   "Cannot read '%s': %m; what no job needs can be ignored with .gitignore",
                                   sources->entry.path);
        if (r < 0)
                return problem_set(reterr_problem, r, "%s: %m", what);
        *ret_empty = TAKE_PTR(sources->empty);
        return 0;
}

bool sources_are_wanted(const char *strategy) {
        return !strategy || (!streq(strategy, "none") && !streq(strategy, "empty"));
}
