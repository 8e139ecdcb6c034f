/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds out whether a repository belongs to the working copy at hand. Called by checkout.c before anything is read from the
 * repository. It believes only what is in a repository outside, which whoever made the working copy could not write. */

#include "project/foreign.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/string.h"
#include "project/git.h"

#define FILE_BYTES_MAX ((size_t) 64 * 1024)
/* How deep names of branches and tags are looked at. Deeper ones are taken for a link. */
#define REFS_DEPTH_MAX 32

/* What git says of the repository; all resolved. */
typedef struct Repository {
        const char *directory, *top;
        char *entry;  /* the .git in @top */
        char *git;    /* where it leads */
        char *common; /* what linked working copies have together; else the same */
} Repository;

static void repository_done(Repository *repository) {
        free(repository->entry);
        free(repository->git);
        free(repository->common);
}

void foreign_done(Foreign *foreign) {
        free(foreign->problem);
        free(foreign->alternates);
        *foreign = (Foreign){ 0 };
}

static bool is_within(const char *path, const char *directory) {
        return streq(path, directory) || path_is_below(path, directory);
}

/* Resolves @path, which may be relative to @directory. NULL: it leads nowhere. */
static char *resolve(const char *directory, const char *path) {
        _cleanup_free_ char *whole = NULL;

        if (string_printf(&whole, "%s%s%s", *path == '/' ? "" : directory, *path == '/' ? "" : "/", path) < 0)
                return NULL;
        return realpath(whole, NULL);
}

/* Does @path, as it is written in @directory, lead to @target? */
static bool leads_to(const char *directory, const char *path, const char *target) {
        _cleanup_free_ char *resolved = resolve(directory, path);

        return resolved && streq(resolved, target);
}

static int ask_path(Repository *repository, const char *question, char **ret) {
        _cleanup_free_ char *path = NULL;

        int r = git_ask(repository->directory, ARGV("rev-parse", "--path-format=absolute", question), &path);
        if (r < 0)
                return r;
        *ret = realpath(path, NULL);
        return *ret ? 0 : -errno;
}

/* Is the working copy where its .git is? The configuration may name another directory. */
static bool is_own_place(const Repository *repository) {
        struct stat st;

        if (!is_within(repository->directory, repository->top) || lstat(repository->entry, &st) < 0)
                return false;
        return !S_ISDIR(st.st_mode) || streq(repository->git, repository->entry);
}

/* No .git between the directory and the top may have led there. */
static bool is_nearest(const Repository *repository) {
        char path[PATH_MAX + 16];

        for (size_t n = strlen(repository->directory); n > strlen(repository->top); n--) {
                struct stat st;

                if (n < strlen(repository->directory) && repository->directory[n] != '/')
                        continue;
                snprintf(path, sizeof(path), "%.*s/.git", (int) n, repository->directory);
                if (stat(path, &st) < 0)
                        continue;
                /* git goes on where there is only a directory of that name. */
                snprintf(path, sizeof(path), "%.*s/.git/HEAD", (int) n, repository->directory);
                if (!S_ISDIR(st.st_mode) || faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) >= 0)
                        return false;
        }
        return true;
}

/* `git worktree add` writes where the linked working copy's .git is. */
static bool names_linked(const Repository *repository) {
        _cleanup_free_ char *path = NULL, *text = NULL;

        if (!path_is_below(repository->git, repository->common) ||
            string_printf(&path, "%s/gitdir", repository->git) < 0 ||
            file_read_at(AT_FDCWD, path, FILE_BYTES_MAX, &text, NULL) < 0)
                return false;
        text[strcspn(text, "\n")] = 0;
        return leads_to(repository->git, text, repository->entry);
}

/* Submodules have a core.worktree, in one of two files. */
static bool names_worktree(const Repository *repository) {
        static const char *const files[] = { "config", "config.worktree" };

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_free_ char *file = NULL, *path = NULL;

                if (string_printf(&file, "%s/%s", repository->git, files[i]) >= 0 &&
                    git_ask(repository->top, ARGV("config", "--no-includes", "--file", file, "--get", "core.worktree"),
                            &path) >= 0 &&
                    leads_to(repository->git, path, repository->top))
                        return true;
        }
        return false;
}

/* Does @path, if it is a link, lead out of the repository? */
static bool leads_out(const Repository *repository, const char *path) {
        _cleanup_free_ char *target = NULL;
        struct stat st;

        if (lstat(path, &st) < 0 || !S_ISLNK(st.st_mode))
                return false;
        target = realpath(path, NULL);
        return target && !is_within(target, repository->common) && !is_within(target, repository->git);
}

/* Looks for a link out of the repository among refs: by such links, a repository has the commits of another. 0; 1 with *ret;
 * or -errno. */
static int find_link(const Repository *repository, const char *path, unsigned depth, char **ret) {
        if (leads_out(repository, path) || depth == 0)
                return string_replace(ret, path) < 0 ? -ENOMEM : 1;
        _cleanup_closedir_ DIR *dir = directory_stream(open_directory_at(AT_FDCWD, path, false, 0));

        if (!dir)
                return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        for (;;) {
                _cleanup_free_ char *inner = NULL;

                struct dirent *entry = directory_next(dir);
                if (!entry)
                        return -errno;
                if (entry->d_type == DT_REG)
                        continue;
                int r = string_printf(&inner, "%s/%s", path, entry->d_name);
                if (r < 0)
                        return r;
                r = find_link(repository, inner, depth - 1, ret);
                if (r != 0)
                        return r;
        }
}

static int find_links(const Repository *repository, char **ret) {
        static const char *const names[] = { "HEAD", "index", "packed-refs", "refs", "reftable" };
        const char *directories[] = { repository->git, repository->common };

        for (size_t i = 0; i < ELEMENTSOF(names) * 2; i++) {
                _cleanup_free_ char *path = NULL;

                int r = string_printf(&path, "%s/%s", directories[i % 2], names[i / 2]);
                if (r < 0)
                        return r;
                r = find_link(repository, path, REFS_DEPTH_MAX, ret);
                if (r != 0)
                        return r;
        }
        return 0;
}

/* Sets *ret to what is wrong with the repository. 0 or -errno. */
static int find_problem(const Repository *repository, char **ret) {
        _cleanup_free_ char *link = NULL;

        if (!is_own_place(repository) || !is_nearest(repository))
                return string_printf(ret, "its configuration (core.worktree) names '%s'", repository->top);
        bool inside = path_is_below(repository->git, repository->top);
        if (!inside && !names_linked(repository) &&
            (!streq(repository->git, repository->common) || !names_worktree(repository)))
                return string_printf(ret,
                                     "'%s' leads to '%s', which does not name this working copy in its core.worktree",
                                     repository->entry, repository->git);
        if (inside && !streq(repository->git, repository->common) && !is_within(repository->common, repository->top))
                return string_printf(ret, "'%s/commondir' leads to '%s'", repository->git, repository->common);
        int r = find_links(repository, &link);
        return r <= 0 ? r : string_printf(ret, "'%s' is a link that leads out of it", link);
}

/* The first directory outside that has objects for this repository. */
static int find_alternates(const Repository *repository, char **ret) {
        _cleanup_free_ char *objects = NULL, *text = NULL, *path = NULL;
        char *state = NULL;

        int r = string_printf(&objects, "%s/objects", repository->common);
        if (r < 0)
                return r;
        r = string_printf(&path, "%s/info/alternates", objects);
        if (r < 0)
                return r;
        if (file_read_at(AT_FDCWD, path, FILE_BYTES_MAX, &text, NULL) < 0)
                return 0;
        for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                _cleanup_free_ char *target = *line == '#' ? NULL : resolve(objects, line);

                if (target && !is_within(target, repository->common)) {
                        *ret = TAKE_PTR(target);
                        return 0;
                }
        }
        return 0;
}

int foreign_find(const char *directory, const char *top, Foreign *ret) {
        _cleanup_(repository_done) Repository repository = { .directory = directory, .top = top };

        int r = string_printf(&repository.entry, "%s/.git", top);
        if (r < 0)
                return r;
        r = ask_path(&repository, "--git-dir", &repository.git);
        if (r < 0)
                return r;
        r = ask_path(&repository, "--git-common-dir", &repository.common);
        if (r < 0)
                return r;
        *ret = (Foreign){ 0 };
        r = find_problem(&repository, &ret->problem);
        return r < 0 || ret->problem ? r : find_alternates(&repository, &ret->alternates);
}
