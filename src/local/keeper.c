/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What caches and artifacts have in common: which files, when, and how they become an archive in the store. Called by
 * artifacts.c and caches.c in the process of a job. An archive gets its name only when it is whole, so others never
 * read half of one. Until then it is in the directory of the run, which somebody removes whatever becomes of us. */

#include "local/keeper.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/string.h"
#include "project/git.h"

/* "on_success" is the default. */
bool keeper_is_due(const LocalJob *job, const Value *map, bool success) {
        const char *when = local_text(job, map, "when");

        return !when || streq(when, "on_success") ? success : streq(when, "always") || !success;
}

/* For "untracked": in the job, git tracks the files of the last commit. */
static int read_tracked(const Keeper *keeper, char ***ret) {
        if (!keeper->has_commit)
                return 0;
        int r = git_list(keeper->top, ARGV("ls-tree", "-r", "-z", "--name-only", "--full-tree", "HEAD"), ret);
        if (r == -ENOENT)
                return 0;
        strv_sort(*ret);
        return r;
}

/* What @map says, of artifacts or a cache. *ret_n 0: there is nothing. */
int keeper_take(const Keeper *keeper, const Value *map, int *ret_fd, size_t *ret_n) {
        _cleanup_strv_ char **tracked = NULL;
        const Value *untracked = map_get_set(map, "untracked");
        FileSelection selection = {
                .paths = selection_globs(keeper->caller, map, "paths"),
                .exclude = selection_globs(keeper->caller, map, "exclude"),
                .untracked = value_is(untracked, VALUE_BOOLEAN) && untracked->boolean,
        };

        *ret_n = 0;
        *ret_fd = -EBADF;
        if (selection.paths->n_items == 0 && !selection.untracked)
                return 0;
        int r = selection.untracked ? read_tracked(keeper, &tracked) : 0;
        selection.tracked = tracked;
        return r < 0 ? r : files_take(keeper->caller, &selection, keeper->store->path, ret_fd, ret_n);
}

int keeper_fresh(const LocalStore *store, char **ret) {
        return string_printf(ret, "%s/fresh.%d", store->run, (int) getpid());
}

static int copy(const char *from, const char *to) {
        char data[65536];

        _cleanup_close_ int from_fd = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (from_fd < 0)
                return -errno;
        _cleanup_close_ int to_fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (to_fd < 0)
                return -errno;
        for (;;) {
                ssize_t n = read(from_fd, data, sizeof(data));
                if (n <= 0)
                        return n < 0 ? -errno : 0;
                int r = fd_write_all(to_fd, data, (size_t) n);
                if (r < 0)
                        return r;
        }
}

/* Gives a file a second name, or makes a copy where the file system has no such thing. */
static int add_name(const char *path, const char *name) {
        (void) unlink(name);
        return link(path, name) < 0 ? copy(path, name) : 0;
}

/* For a directory that the user has moved to another file system. */
static int copy_whole(const char *fresh, const char *path) {
        _cleanup_free_ char *there = NULL;

        int r = string_printf(&there, "%s.%d", path, (int) getpid());
        if (r < 0)
                return r;
        r = copy(fresh, there);
        if (r == 0 && rename(there, path) < 0)
                r = -errno;
        (void) unlink(r < 0 ? there : fresh);
        return r;
}

int keeper_publish(const char *fresh, const char *path, const char *own) {
        int r = own ? add_name(fresh, own) : 0;

        if (r == 0 && rename(fresh, path) < 0)
                r = errno == EXDEV ? copy_whole(fresh, path) : -errno;
        if (r < 0 && own)
                (void) unlink(own);
        return r;
}

static int write_archive(Caller *caller, int bundle_fd, const char *fresh, ArchiveFormat format, int level,
                         Problem *reterr_problem) {
        _cleanup_close_ int fd = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

        return fd < 0 ? -errno : archive_from_bundle(caller, bundle_fd, fd, format, level, reterr_problem);
}

int keeper_keep(const Keeper *keeper, int bundle_fd, const char *path, const char *own, ArchiveFormat format, int level,
                Problem *reterr_problem) {
        _cleanup_free_ char *fresh = NULL;

        int r = keeper_fresh(keeper->store, &fresh);
        if (r < 0)
                return r;
        r = write_archive(keeper->caller, bundle_fd, fresh, format, level, reterr_problem);
        if (r == 0)
                r = keeper_publish(fresh, path, own);
        if (r < 0)
                (void) unlink(fresh);
        return r;
}

/* GitLab Runner's words for levels. */
int keeper_level(const LocalJob *job, const char *variable) {
        static const char *const names[] = { "fastest", "fast", "default", "slow", "slowest" };
        static const int levels[] = { 1, 3, 6, 7, 9 };
        const char *wanted = local_variable(job, variable, "fast");

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(names[i], wanted))
                        return levels[i];
        return 3;
}
