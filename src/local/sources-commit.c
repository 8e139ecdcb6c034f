/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The part of a pipeline's sources that comes from git: a copy of the last commits, and with --committed the files, too.
 * Called by sources.c. Files are taken as git stores them, so that no filter of the repository runs. */

#include "local/sources-commit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/string.h"
#include "project/git.h"

static int put_packs(Sources *sources, int repository_fd) {
        _cleanup_strv_ char **names = NULL;
        char path[512];

        _cleanup_close_ int fd = openat(repository_fd, "objects/pack", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        int r = directory_names(fd, &names);
        if (r < 0)
                return r;
        for (char **name = names; name && *name; name++) {
                if ((!endswith(*name, ".pack") && !endswith(*name, ".idx")) ||
                    (size_t) snprintf(path, sizeof(path), ".git/objects/pack/%s", *name) >= sizeof(path))
                        continue;
                r = sources_put_file(sources, fd, *name, path, false);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Whether @repository has the tag that the pipeline is for, at the commit: it may be more than the name of a commit. */
static bool has_tag(const SourcesRequest *request, const GitCall *repository) {
        _cleanup_free_ char *name = NULL, *commit = NULL;

        return request->is_tag && string_printf(&name, "refs/tags/%s^{commit}", request->ref) >= 0 &&
               git_call(repository, ARGV("rev-parse", "--verify", "--quiet", name), &commit) == 0 &&
               streq(commit, request->checkout->commit);
}

/* Without a depth, the branches of the server and all tags; else the tags that came with the commits. The pipeline's own one is
 * where the server would have it after a push. */
static int put_refs(Sources *sources, const char *repository) {
        const SourcesRequest *request = sources->request;
        const GitCall call = { .directory = repository, .bare = true };
        _cleanup_free_ char *others = NULL, *path = NULL, *head = NULL, *packed = NULL;

        int r = string_printf(&head, "%s\n", request->checkout->commit);
        if (r < 0)
                return r;
        r = sources_put_text(sources, ".git/HEAD", head);
        if (r < 0)
                return r;
        r = git_call(&call, ARGV("for-each-ref", "--format=%(objectname) %(refname)", "refs/tags/", "refs/remotes/"),
                     &others);
        if (r != 0)
                return r < 0 ? r : -EIO;
        r = string_printf(&packed, "# pack-refs with: \n%s\n", others);
        if (r < 0)
                return r;
        r = isempty(others) ? 0 : sources_put_text(sources, ".git/packed-refs", packed);
        if (r < 0)
                return r;
        r = sources_put_directory(sources, ".git/refs"); /* git looks for it */
        if (r < 0 || has_tag(request, &call))
                return r;
        r = string_printf(&path, ".git/refs/%s/%s", request->is_tag ? "tags" : "remotes/origin", request->ref);
        return r < 0 ? r : sources_put_text(sources, path, head);
}

/* In double quotes, as git's configuration has them. */
static int put_config(Sources *sources) {
        _cleanup_free_ char *text = NULL, *quoted = calloc(2, strlen(sources->request->url) + 1);
        char *out = quoted;

        if (!quoted)
                return -ENOMEM;
        for (const char *p = sources->request->url; *p; p++) {
                if (*p == '"' || *p == '\\')
                        *out++ = '\\';
                if ((unsigned char) *p >= ' ')
                        *out++ = *p;
        }
        int r = string_printf(&text,
                              "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n"
                              "[remote \"origin\"]\n\turl = \"%s\"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n",
                              quoted);
        return r < 0 ? r : sources_put_text(sources, ".git/config", text);
}

int sources_put_repository(Sources *sources, const char *repository) {
        _cleanup_close_ int fd = open(repository, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        int r = put_packs(sources, fd);
        if (r < 0)
                return r;
        r = sources_put_file(sources, fd, "shallow", ".git/shallow", false);
        if (r < 0)
                return r;
        r = sources_put_file(sources, fd, "index", ".git/index", sources->knows);
        if (r < 0)
                return r;
        r = put_config(sources);
        if (r < 0)
                return r;
        return put_refs(sources, repository);
}

/* One line of `git ls-tree -z`: "MODE TYPE ID\tPATH". A commit is a submodule's. */
typedef struct TreeLine {
        unsigned mode;
        const char *id, *path;
} TreeLine;

static bool parse_line(char *line, TreeLine *ret) {
        char *tab = strchr(line, '\t'), *end;

        if (!tab)
                return false;
        *tab = 0;
        ret->path = tab + 1;
        ret->mode = (unsigned) strtoul(line, &end, 8);
        const char *id = strrchr(line, ' ');
        ret->id = id ? id + 1 : "";
        return id && (startswith(end, " blob ") || startswith(end, " commit "));
}

static int put_blob(Sources *sources, FILE *blobs, const TreeLine *line) {
        _cleanup_free_ char *header = NULL;
        BundleEntry *entry = &sources->entry;
        size_t allocated = 0;
        uint64_t size;
        char data[65536];

        if (getline(&header, &allocated, blobs) <= 0)
                return -EIO;
        header[strcspn(header, "\n")] = 0;
        const char *blank = strrchr(header, ' ');
        if (!blank || parse_uint64(blank + 1, &size) < 0)
                return -EIO;
        bool link = S_ISLNK(line->mode);
        if (link && size > BUNDLE_PATH_MAX)
                return -EIO;
        strcpy(entry->path, line->path);
        entry->type = link ? BUNDLE_SYMLINK : BUNDLE_FILE;
        entry->mode = line->mode & 0111 ? 0755 : 0644;
        entry->size = size;
        entry->mtime_sec = 0;
        entry->clean = true;
        if (link) {
                if (fread(entry->link, 1, size, blobs) != size)
                        return -EIO;
                entry->link[size] = 0;
                size = 0;
        }
        int r = bundle_put(&sources->writer, entry);
        if (r < 0)
                return r;
        while (size > 0) {
                size_t n = fread(data, 1, MIN(size, sizeof(data)), blobs);

                if (n == 0)
                        return -EIO;
                r = bundle_put_data(&sources->writer, data, n);
                if (r < 0)
                        return r;
                size -= n;
        }
        return fgetc(blobs) == '\n' ? 0 : -EIO;
}

/* The ids, for the standard input of `git cat-file`; lines that are no files of ours are emptied. */
static int write_ids(char **lines, int *ret_fd) {
        _cleanup_close_ int fd = memfd_create("ids", MFD_CLOEXEC);
        _cleanup_fclose_ FILE *file = fd < 0 ? NULL : file_stream(fd_duplicate(fd), "w");

        if (!file)
                return -errno;
        for (; *lines; lines++) {
                char *tab = strchr(*lines, '\t');

                if (!tab || !bundle_path_is_plain(tab + 1)) {
                        **lines = 0;
                        continue;
                }
                if (!memmem(*lines, (size_t) (tab - *lines), " blob ", strlen(" blob ")))
                        continue; /* a submodule */
                const char *id = tab;
                while (id > *lines && id[-1] != ' ')
                        id--;
                (void) fprintf(file, "%.*s\n", (int) (tab - id), id);
        }
        if (fflush(file) != 0 || lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int put_blobs(Sources *sources, FILE *blobs, char *const *lines) {
        TreeLine line;

        for (; *lines; lines++) {
                if (!**lines || !parse_line(*lines, &line))
                        continue;
                int r = S_ISREG(line.mode) || S_ISLNK(line.mode) ? put_blob(sources, blobs, &line) :
                                                                   sources_put_empty_submodule(sources, line.path);
                if (r < 0)
                        return r;
        }
        return 0;
}

int sources_put_commit(Sources *sources) {
        const Checkout *checkout = sources->request->checkout;
        _cleanup_close_ int ids_fd = -EBADF;
        _cleanup_strv_ char **lines = NULL, **argv = NULL, **envp = NULL;
        const GitCall call = { .directory = checkout->top };
        int pipe_fds[2], status;
        pid_t pid;

        int r = git_list(checkout->top, ARGV("ls-tree", "-r", "-z", "--full-tree", checkout->commit), &lines);
        if (r < 0)
                return r;
        r = write_ids(lines, &ids_fd);
        if (r < 0)
                return r;
        r = git_command(&call, ARGV("cat-file", "--batch"), &argv, &envp);
        if (r < 0)
                return r;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        /* Before there is a process to wait for. */
        FILE *blobs = file_stream(pipe_fds[0], "r");
        if (!blobs) {
                r = -errno;
                close(pipe_fds[1]);
                return r;
        }
        const Spawn spawn = { .argv = argv,
                              .envp = envp,
                              .stdin_fd = ids_fd,
                              .stdout_fd = pipe_fds[1],
                              .stderr_fd = -EBADF,
                              .die_with_parent = true };
        r = process_spawn(&spawn, &pid, NULL);
        close(pipe_fds[1]);
        if (r < 0) {
                fclose(blobs);
                return r;
        }
        r = put_blobs(sources, blobs, lines);
        fclose(blobs);
        int q = process_wait(pid, &status);
        return r < 0 ? r : q < 0 ? q : status != 0 ? -EIO : 0;
}
