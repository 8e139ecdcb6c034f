/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Decides which files of a job its caches and artifacts have, and moves them through the agent's program in the container.
 * Called by the process of a job. What the container says is hostile: paths are compared and written into archives, and never
 * opened on the host. */

#include "local/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/new-file.h"
#include "base/string.h"
#include "local/archive.h"
#include "pipeline/glob.h"
#include "wire/bundle.h"

/* Of arguments of one step (wire/wire.h). */
#define PREFIXES_MAX 100U

static bool matches(const Value *globs, const char *path) {
        for (size_t i = 0; globs && i < globs->n_items; i++)
                if (glob_match(globs->items[i]->string, path))
                        return true;
        return false;
}

static bool matches_part(const Value *globs, const char *path) {
        char part[BUNDLE_PATH_MAX + 1];

        if (!globs || globs->n_items == 0)
                return false;
        for (size_t n = strcspn(path, "/");; n += 1 + strcspn(path + n + 1, "/")) {
                memcpy(part, path, n);
                part[n] = 0;
                if (matches(globs, part))
                        return true;
                if (!path[n])
                        return false;
        }
}

static int compare(const void *key, const void *item) {
        return strcmp(key, *(char *const *) item);
}

static bool is_tracked(const FileSelection *selection, const char *path) {
        size_t n = selection->tracked ? strv_length(selection->tracked) : 0;

        return n > 0 && bsearch(path, selection->tracked, n, sizeof(char *), compare);
}

bool selection_has(const FileSelection *selection, const char *path) {
        if (matches(selection->exclude, path))
                return false;
        if (matches_part(selection->paths, path))
                return true;
        return selection->untracked && !startswith(path, ".git/") && !streq(path, ".git") &&
               !is_tracked(selection, path);
}

const char *selection_glob(const LocalJob *job, const char *glob, const char **reterr_why) {
        const char *rest = startswith(glob, job->project_dir);

        if (rest && (*rest == '/' || !*rest))
                glob = rest + strspn(rest, "/");
        while (startswith(glob, "./"))
                glob += 2;
        size_t n = strlen(glob);
        while (n > 0 && glob[n - 1] == '/')
                n--;
        if (n == 0 || (n == 1 && *glob == '.'))
                return "**/*";
        *reterr_why = "is outside of the project";
        if (glob[0] == '/' || streq(glob, "..") || startswith(glob, "../") || strstr(glob, "/../"))
                return NULL;
        const char *text = arena_copy(job->arena, glob, n);
        /* Only here "**" at the end is all that is below. */
        return endswith(text, "/**") || streq(text, "**") ? arena_printf(job->arena, "%s/*", text) : text;
}

const Value *selection_globs(Caller *caller, const Value *map, const char *key) {
        const LocalJob *job = caller->job;
        const Value *lines = local_lines(job, map_get_set(map, key));
        Value *globs = value_new(job->arena, VALUE_LIST, (Place){ 0 });

        for (size_t i = 0; i < lines->n_items; i++) {
                const char *text = local_expand(job, lines->items[i]->string), *why;
                const char *glob = selection_glob(job, text, &why);

                if (glob)
                        value_append(job->arena, globs, value_new_string(job->arena, glob, lines->items[i]->place));
                else
                        caller_log(caller, "\033[0;33mWARNING: %s: %s\033[0;m", text, why);
        }
        return globs;
}

/* Where files that @glob matches can be: the part without wildcards. NULL: anywhere. */
static const char *prefix_of(const LocalJob *job, const char *glob) {
        size_t n = strcspn(glob, "*?[{\\");

        if (glob[n])
                while (n > 0 && glob[n - 1] != '/')
                        n--;
        while (n > 0 && glob[n - 1] == '/')
                n--;
        return n > 0 ? arena_copy(job->arena, glob, n) : NULL;
}

static bool is_below(const char *path, const char *directory) {
        const char *rest = startswith(path, directory);

        return rest && (!*rest || *rest == '/');
}

/* Does one of the prefixes lead to all that @path leads to? Else those go that it makes needless: what is listed twice would
 * count twice. */
static bool is_covered(char **prefixes, size_t *n, const char *path) {
        size_t kept = 0;

        for (size_t i = 0; i < *n; i++)
                if (is_below(path, prefixes[i]))
                        return true;
        for (size_t i = 0; i < *n; i++)
                if (!is_below(prefixes[i], path))
                        prefixes[kept++] = prefixes[i];
        *n = kept;
        return false;
}

/* The arguments of the step that lists what may be meant. */
static char **list_arguments(const Caller *caller, const FileSelection *selection) {
        const LocalJob *job = caller->job;
        char **arguments = NULL;
        size_t n = 0;

        ARENA_APPEND(job->arena, arguments, n, (char *) "list");
        ARENA_APPEND(job->arena, arguments, n, (char *) job->project_dir);
        size_t begin = n;
        for (size_t i = 0; selection->paths && i < selection->paths->n_items; i++) {
                const char *prefix = prefix_of(job, selection->paths->items[i]->string);

                if (!prefix || selection->untracked || n > PREFIXES_MAX) {
                        n = begin;
                        break;
                }
                size_t n_prefixes = n - begin;
                bool covered = is_covered(arguments + begin, &n_prefixes, prefix);
                n = begin + n_prefixes;
                if (!covered)
                        ARENA_APPEND(job->arena, arguments, n, (char *) prefix);
        }
        ARENA_APPEND(job->arena, arguments, n, NULL);
        return arguments;
}

/* -EFBIG: it wrote more than @stdout_bytes_max. */
static int step(Caller *caller, char *const *arguments, int stdin_fd, int stdout_fd, uint64_t stdout_bytes_max) {
        const Call call = { .stage = BROKER_STEP,
                            .arguments = arguments,
                            .stdin_fd = stdin_fd,
                            .stdout_fd = stdout_fd,
                            .to_the_end = caller->ignored > 0,
                            .deadline_usec = caller->ignored > 0 ? caller->deadline_usec : 0,
                            .file_bytes_max = stdout_bytes_max };
        BrokerReply reply = { 0 };
        struct stat st;

        int r = caller_call(caller, &call, &reply);
        if (r < 0 || reply.status == 0)
                return r;
        r = caller_check(caller);
        if (r < 0)
                return r;
        return stdout_bytes_max > 0 && fstat(stdout_fd, &st) >= 0 && (uint64_t) st.st_size >= stdout_bytes_max ?
                       -EFBIG :
                       -EIO;
}

static int rewind_fd(int fd) {
        return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

/* Several prefixes may lead to one file. */
static int compare_paths(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

static int refuse_size(Caller *caller) {
        char most[FORMAT_BYTES_MAX];

        caller_log(caller, "\033[31;1mERROR: the files are too large: together more than %s (--archive-max)\033[0;m",
                   format_bytes(caller->files_bytes_max, most));
        return -EFBIG;
}

static int refuse_number(Caller *caller) {
        caller_log(caller, "\033[31;1mERROR: there are too many files: the list of them is too large\033[0;m");
        return -EFBIG;
}

static int list(Caller *caller, const FileSelection *selection, int list_fd) {
        int r = step(caller, list_arguments(caller, selection), -EBADF, list_fd, FILES_LIST_BYTES_MAX);

        return r == -EFBIG ? refuse_number(caller) : r < 0 ? r : rewind_fd(list_fd);
}

/* The size of the files says what they become, holes or not. Files may still grow until then. */
static int pack(Caller *caller, int paths_fd, int bundle_fd) {
        int r = step(caller, ARGV("pack", caller->job->project_dir), paths_fd, bundle_fd,
                     caller->files_bytes_max + FILES_LIST_BYTES_MAX);

        return r == -EFBIG ? refuse_size(caller) : r < 0 ? r : rewind_fd(bundle_fd);
}

/* The paths of the bundle that are meant, sorted. -EFBIG: their content is too large; -E2BIG: they are too many. */
static int select_paths(const Caller *caller, const FileSelection *selection, int list_fd, char ***ret, bool *used) {
        _cleanup_bundle_reader_ BundleReader reader = { 0 };
        _cleanup_strv_ char **paths = NULL;
        static BundleEntry entry;
        size_t n = 0, allocated = 0;
        uint64_t left = caller->files_bytes_max;

        int r = bundle_reader_init(&reader, list_fd);
        if (r < 0)
                return r;
        while ((r = bundle_next(&reader, &entry)) > 0) {
                if (!selection_has(selection, entry.path))
                        continue;
                if (entry.type == BUNDLE_LISTED && entry.size > left)
                        return -EFBIG;
                if (n == caller->files_max)
                        return -E2BIG;
                left -= entry.type == BUNDLE_LISTED ? entry.size : 0;
                for (size_t i = 0; selection->paths && i < selection->paths->n_items; i++)
                        used[i] = used[i] || matches_part(&(Value){ .type = VALUE_LIST,
                                                                    .items = selection->paths->items + i,
                                                                    .n_items = 1 },
                                                          entry.path);
                if (n + 2 > allocated) {
                        allocated = MAX(2 * allocated, (size_t) 256);
                        char **grown = reallocarray(paths, allocated, sizeof(char *));
                        if (!grown)
                                return -ENOMEM;
                        paths = grown;
                }
                paths[n] = strdup(entry.path);
                if (!paths[n])
                        return -ENOMEM;
                paths[++n] = NULL;
        }
        if (r < 0)
                return r;
        SORT(paths, n, compare_paths);
        *ret = TAKE_PTR(paths);
        return 0;
}

/* The paths, each with its NUL, once. */
static int write_paths(char *const *paths, size_t *ret_n) {
        _cleanup_close_ int fd = memfd_create("paths", MFD_CLOEXEC);
        FILE *file = fd < 0 ? NULL : file_stream(fd_duplicate(fd), "w");

        if (!file)
                return -errno;
        *ret_n = 0;
        for (char *const *path = paths; path && *path; path++)
                if (path == paths || !streq(path[-1], *path)) {
                        (void) fwrite(*path, 1, strlen(*path) + 1, file);
                        ++*ret_n;
                }
        int r = fclose(file) != 0 ? -errno : rewind_fd(fd);
        return r < 0 ? r : TAKE_FD(fd);
}

int files_take(Caller *caller, const FileSelection *selection, const char *directory, int *ret_fd, size_t *ret_n) {
        size_t n_globs = selection->paths ? selection->paths->n_items : 0;
        bool *used = arena_alloc(caller->job->arena, n_globs + 1);
        _cleanup_strv_ char **paths = NULL;

        _cleanup_close_ int list_fd = file_open_unnamed(directory), bundle_fd = file_open_unnamed(directory);
        if (list_fd < 0 || bundle_fd < 0)
                return list_fd < 0 ? list_fd : bundle_fd;
        int r = list(caller, selection, list_fd);
        if (r < 0)
                return r;
        r = select_paths(caller, selection, list_fd, &paths, used);
        if (r < 0)
                return r == -EFBIG ? refuse_size(caller) : r == -E2BIG ? refuse_number(caller) : r;
        for (size_t i = 0; i < n_globs; i++)
                if (!used[i])
                        caller_log(
                                caller,
                                "\033[0;33mWARNING: %s: no matching files. Ensure that the path is relative to the working "
                                "directory (%s)\033[0;m",
                                selection->paths->items[i]->string, caller->job->project_dir);
        _cleanup_close_ int paths_fd = write_paths(paths, ret_n);
        if (paths_fd < 0)
                return paths_fd;
        r = pack(caller, paths_fd, bundle_fd);
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(bundle_fd);
        return 0;
}

static int unpack(Caller *caller, int archive_fd, int bundle_fd, Problem *reterr_problem) {
        int r = archive_to_bundle(caller, archive_fd, bundle_fd, reterr_problem);
        if (r < 0)
                return r;
        r = rewind_fd(bundle_fd);
        if (r < 0)
                return r;
        return step(caller, ARGV("unpack", caller->job->project_dir), bundle_fd, -EBADF, 0);
}

int files_put(Caller *caller, const char *path, const char *directory) {
        Problem problem = { 0 };

        _cleanup_close_ int archive_fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (archive_fd < 0)
                return -errno;
        _cleanup_close_ int bundle_fd = file_open_unnamed(directory);
        if (bundle_fd < 0)
                return bundle_fd;
        int r = unpack(caller, archive_fd, bundle_fd, &problem);
        if (r < 0)
                caller_log(caller, "\033[31;1mERROR: %s\033[0;m", problem_text(&problem, r));
        return r == -ENOENT ? -EIO : r;
}
