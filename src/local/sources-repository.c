/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Copies the last commits of a working copy into a repository of ours. Called by sources.c, which has other things to
 * do while git copies. No hook of the working copy's repository runs, and nothing is fetched from elsewhere. */

#include "local/sources-repository.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/process.h"
#include "base/string.h"
#include "project/git.h"

/* The other side is the repository at hand: it must not fetch what it lacks, with programs that its configuration names. */
#define UPLOAD_PACK "--upload-pack=GIT_ALLOW_PROTOCOL=none git-upload-pack"

/* Runs git in a repository of ours. */
static int run(const char *directory, char *const *arguments) {
        const GitCall call = { .directory = directory, .bare = true, .protocols = "file" };
        _cleanup_free_ char *output = NULL;

        int r = git_call(&call, arguments, &output);
        return r > 0 ? -EIO : r;
}

/* Fetches @refspecs from the working copy's repository, with more @options. */
static int fetch(const SourcesRequest *request, const char *directory, uint64_t depth, char *const *options,
                 char *const *refspecs) {
        _cleanup_free_ char *url = NULL, *limit = NULL;
        _cleanup_strv_ char **argv = NULL;

        int r = string_printf(&url, "file://%s", request->checkout->top);
        if (r < 0)
                return r;
        r = string_printf(&limit, "--depth=%" PRIu64, depth);
        if (r < 0)
                return r;
        r = strv_extend_many(&argv, "-c", "protocol.file.allow=always", "-c", "protocol.version=2", "-c",
                             "fetch.unpackLimit=1", "-c", "fetch.writeCommitGraph=false", "-c",
                             "transfer.fsckObjects=false", "fetch", "--quiet", "--no-write-fetch-head",
                             "--no-recurse-submodules", UPLOAD_PACK, limit);
        if (r < 0)
                return r;
        r = strv_extend_strv(&argv, options);
        if (r < 0)
                return r;
        r = strv_extend(&argv, url);
        if (r < 0)
                return r;
        r = strv_extend_strv(&argv, refspecs);
        return r < 0 ? r : run(directory, argv);
}

/* The commit that a merge request began at, without those before it, where the depth did not reach it. Git's protocol knows
 * commits by their ids from version 2 on. */
static int fetch_base(const SourcesRequest *request, const char *directory) {
        _cleanup_free_ char *name = NULL;

        if (!request->base)
                return 0;
        int r = string_printf(&name, "%s^{commit}", request->base);
        if (r < 0)
                return r;
        r = run(directory, ARGV("cat-file", "-e", name));
        return r == -EIO ? fetch(request, directory, 1, ARGV("--no-tags"), ARGV(request->base)) : r;
}

/* As GitLab Runner does: without a depth all branches of the server and all tags, as far as they are known here; with one, the
 * tags of the commits that come anyway. */
static int fetch_commits(const SourcesRequest *request, const char *directory) {
        static const char head[] = "+HEAD:refs/heads/exec";

        if (request->depth > 0)
                return fetch(request, directory, request->depth, ARGV(NULL), ARGV(head));
        return fetch(request, directory, INT32_MAX, ARGV("--tags"),
                     request->checkout->remote ?
                             ARGV(head, "+refs/remotes/origin/*:refs/remotes/origin/*", "^refs/remotes/origin/HEAD") :
                             ARGV(head, "+refs/heads/*:refs/remotes/origin/*"));
}

/* Only the index of the last commit's tree and its objects are of use, and git itself copies them. */
static int fill(const SourcesRequest *request, const char *directory) {
        int r = run(directory, ARGV("init", "--quiet", "--bare", "--template="));
        if (r < 0)
                return r;
        r = fetch_commits(request, directory);
        if (r < 0)
                return r;
        r = fetch_base(request, directory);
        /* The agent knows this format only. */
        return r < 0 ? r :
                       run(directory,
                           ARGV("-c", "index.version=2", "-c", "core.splitIndex=false", "-c", "index.sparse=false",
                                "-c", "index.skipHash=false", "read-tree", "refs/heads/exec"));
}

/* Removes what was kept for other commits. */
static void forget_others(const SourcesRequest *request, const char *keep) {
        _cleanup_strv_ char **names = NULL;
        _cleanup_close_ int fd = open(request->cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 || directory_names(fd, &names) < 0)
                return;
        for (char **name = names; name && *name; name++) {
                _cleanup_free_ char *path = NULL;

                if (!streq(*name, keep) && string_printf(&path, "%s/%s", request->cache, *name) >= 0) {
                        const Spawn spawn = { .argv = ARGV("rm", "-rf", "--", path),
                                              .stdin_fd = -EBADF,
                                              .stdout_fd = -EBADF,
                                              .stderr_fd = -EBADF };
                        (void) process_run(&spawn);
                }
        }
}

/* Best effort: not all file systems can. */
static int lock(const char *directory) {
        int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        (void) lock_wait(fd, LOCK_EX, USEC_INFINITY);
        return fd;
}

/* Under a name of its own until it is whole. */
static int begin_fetch(const SourcesRequest *request, SourcesRepository *repository) {
        int r = string_printf(&repository->fresh, "%s/new-XXXXXX", request->cache);
        if (r < 0)
                return r;
        if (!mkdtemp(repository->fresh))
                return -errno;
        pid_t pid = fork();
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                _exit(-fill(request, repository->fresh)); /* an errno is less than 256 */
        }
        repository->pid = MAX(pid, 0);
        return pid < 0 ? -errno : 0;
}

/* A hash of what a repository has besides the commit that is checked out. */
static int hash_others(const SourcesRequest *request, uint64_t *ret) {
        const char *branches = request->checkout->remote ? "refs/remotes/origin/" : "refs/heads/";
        _cleanup_free_ char *refs = NULL;
        Hash hash;

        int r = git_call(&(GitCall){ .directory = request->checkout->top },
                         ARGV("for-each-ref", "--format=%(objectname) %(refname)", "refs/tags/",
                              request->depth > 0 ? NULL : branches),
                         &refs);
        if (r != 0)
                return r < 0 ? r : -EIO;
        hash_init(&hash, (const uint8_t[16]){ 0 });
        hash_string(&hash, request->base);
        hash_string(&hash, refs);
        *ret = hash_finish(&hash);
        return 0;
}

int sources_repository_begin(const SourcesRequest *request, SourcesRepository *repository) {
        uint64_t others;

        int r = hash_others(request, &others);
        if (r < 0)
                return r;
        repository->lock_fd = lock(request->cache);
        if (repository->lock_fd < 0)
                return repository->lock_fd;
        r = string_printf(&repository->path, "%s/%s-%" PRIu64 "-%016" PRIx64, request->cache, request->checkout->commit,
                          request->depth, others);
        if (r < 0)
                return r;
        return access(repository->path, F_OK) < 0 ? begin_fetch(request, repository) : 0;
}

static int wait_for_fetch(SourcesRepository *repository) {
        int status;

        int r = process_wait(repository->pid, &status);
        repository->pid = 0;
        if (r < 0)
                return r;
        return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

int sources_repository_wait(const SourcesRequest *request, SourcesRepository *repository) {
        if (repository->pid == 0)
                return 0;
        int r = wait_for_fetch(repository);
        if (r < 0)
                return r;
        if (rename(repository->fresh, repository->path) < 0 && errno != EEXIST && errno != ENOTEMPTY)
                return -errno;
        forget_others(request, strrchr(repository->path, '/') + 1);
        return 0;
}

void sources_repository_done(SourcesRepository *repository) {
        if (repository->pid > 0)
                (void) wait_for_fetch(repository);
        free(repository->path);
        free(repository->fresh);
        closep(&repository->lock_fd);
        *repository = SOURCES_REPOSITORY_NONE;
}
