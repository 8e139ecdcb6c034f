/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Finds out which files of the working copy differ from the last commit, so that a job's index can know the others. Called by
 * sources.c. git must not write into the repository: what it finds out is noted in a copy of the index. */

#include "local/sources-compare.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/string.h"
#include "project/git.h"

void sources_compared_done(SourcesCompared *compared) {
        strv_free(compared->changed);
        *compared = (SourcesCompared){ 0 };
}

static int list_changed(const GitCall *call, const char *commit, char ***ret) {
        return git_list_call(call,
                             ARGV("diff-index", "-z", "--name-only", "--no-renames", "--no-ext-diff",
                                  "--ignore-submodules", commit, "--"),
                             ret);
}

/* With its time: git looks again at files that are not older than the index. */
static int copy_index(const Checkout *checkout, int fd) {
        _cleanup_free_ char *path = NULL, *whole = NULL;
        struct stat st;

        int r = git_ask(checkout->top, ARGV("rev-parse", "--git-path", "index"), &path);
        if (r < 0)
                return r;
        r = path[0] == '/' ? string_printf(&whole, "%s", path) : string_printf(&whole, "%s/%s", checkout->top, path);
        if (r < 0)
                return r;
        _cleanup_close_ int from_fd = open(whole, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (from_fd < 0 || fstat(from_fd, &st) < 0)
                return -errno;
        for (off_t left = st.st_size; left > 0;) {
                ssize_t n = sendfile(fd, from_fd, NULL, (size_t) left);
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                left -= n;
        }
        return futimens(fd, (struct timespec[]){ st.st_atim, st.st_mtim }) < 0 ? -errno : 0;
}

/* By its time and number, a file may have changed that has not: then only its content tells. */
static int list_really_changed(const SourcesRequest *request, GitCall *call, const char *index, int fd, char ***ret) {
        _cleanup_free_ char *output = NULL;

        int r = copy_index(request->checkout, fd);
        if (r < 0)
                return r;
        call->index = index;
        r = git_call(call, ARGV("update-index", "-q", "--refresh"),
                     &output); /* its status only says that some changed */
        return r < 0 ? r : list_changed(call, request->checkout->commit, ret);
}

static int look_closer(const SourcesRequest *request, GitCall *call, char ***changed) {
        _cleanup_free_ char *index = NULL;
        _cleanup_strv_ char **really = NULL;

        int r = string_printf(&index, "%s/index-XXXXXX", request->cache);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = mkostemp(index, O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = list_really_changed(request, call, index, fd, &really);
        call->index = NULL;
        (void) unlink(index);
        if (r < 0)
                return r;
        strv_free(*changed);
        *changed = TAKE_PTR(really);
        return 0;
}

/* Files that git was told not to look at may have changed, too. Each item is a letter, a blank and a path. */
static int add_unwatched(const GitCall *call, char ***changed) {
        _cleanup_strv_ char **tags = NULL;

        int r = git_list_call(call, ARGV("ls-files", "-z", "-v"), &tags);
        if (r < 0)
                return r;
        for (char **tag = tags; *tag; tag++)
                if (!startswith(*tag, "H ") && strlen(*tag) > 2 && strv_extend(changed, *tag + 2) < 0)
                        return -ENOMEM;
        return 0;
}

int sources_compare(const SourcesRequest *request, SourcesCompared *ret) {
        const Checkout *checkout = request->checkout;
        _cleanup_strv_ char **changed = NULL, **config = NULL;
        struct timespec at;

        (void) clock_gettime(CLOCK_REALTIME_COARSE, &at); /* as the kernel takes it for files */
        int r = git_own_filters_off(checkout->top, &config);
        if (r < 0)
                return r;
        GitCall call = { .directory = checkout->top, .config = config };
        r = list_changed(&call, checkout->commit, &changed);
        if (r < 0)
                return r;
        r = changed[0] ? look_closer(request, &call, &changed) : 0;
        if (r < 0)
                return r;
        r = add_unwatched(&call, &changed);
        if (r < 0)
                return r;
        strv_sort_unique(changed);
        *ret = (SourcesCompared){ .at = at, .known = true, .changed = changed, .next = changed };
        changed = NULL;
        return 0;
}

bool sources_compared_clean(SourcesCompared *compared, const char *path) {
        if (!compared->known)
                return false;
        while (*compared->next && strcmp(*compared->next, path) < 0)
                compared->next++;
        return !*compared->next || !streq(*compared->next, path);
}
