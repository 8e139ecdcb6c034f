/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Fetches single commits of other projects with git, and reads their files. Called by fetch.c. Each project is a bare
 * repository in the cache, with commits and directories, and those files that were asked for. It never gets a working
 * copy, so nothing in it is made on disk under a name that it chose; symlinks are refused. */

#include "project/fetch-tree.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/string.h"
#include "project/fetch-choose.h"
#include "project/git.h"

#define PROTOCOLS "https:http:ssh"
/* Passes user and password of origin's URL to git as a helper of git's does, after the user's own ones. A helper is a
 * command of a shell: this one is always the same, and takes them from its environment. */
#define HELPER_USER "NSPAWN_RUNNER_ORIGIN_USER"
#define HELPER_PASSWORD "NSPAWN_RUNNER_ORIGIN_PASSWORD"
#define HELPER                                                                                                        \
        "!f() { test \"$1\" != get || printf 'username=%s\\npassword=%s\\n' \"$" HELPER_USER "\" \"$" HELPER_PASSWORD \
        "\"; }; f"
#define PACK_BYTES_MAX ((uint64_t) 256 * 1024 * 1024)
#define LIST_BYTES_MAX ((size_t) 32 * 1024 * 1024)
#define PATHS_MAX 1000000U

/* Runs git in the repository of @tree; what it prints is in *ret_output, which may be NULL. As fetch_run(). */
static int run_git(Fetch *fetch, const FetchTree *tree, bool online, char *const *arguments, size_t max_bytes,
                   char **ret_output, size_t *ret_size) {
        bool secrets = online && fetch->user && tree->url && startswith(tree->url, fetch->base);
        _cleanup_free_ char *key = NULL, *user = NULL, *password = NULL;

        if (secrets && (string_printf(&key, "credential.%s.helper", fetch->base) < 0 ||
                        string_printf(&user, HELPER_USER "=%s", fetch->user) < 0 ||
                        string_printf(&password, HELPER_PASSWORD "=%s", fetch->password) < 0))
                return -ENOMEM;
        char **config = ARGV("http.lowSpeedLimit", "1", "http.lowSpeedTime", "60", secrets ? key : NULL, HELPER);
        const GitCall call = { .directory = tree->directory,
                               .bare = true,
                               .prompts = fetch->prompts,
                               .protocols = online ? PROTOCOLS : NULL,
                               .config = config };
        _cleanup_strv_ char **argv = NULL, **envp = NULL;

        int r = git_command(&call, arguments, &argv, &envp);
        if (r < 0)
                return r;
        r = secrets ? strv_extend_many(&envp, user, password) : 0;
        if (r < 0)
                return r;
        _cleanup_close_ int fd = memfd_create("git", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        const FetchProgram git = {
                .argv = argv, .envp = envp, .stdin_fd = -EBADF, .stdout_fd = fd, .file_bytes_max = PACK_BYTES_MAX
        };
        r = fetch_run(fetch, &git);
        if (r < 0 || !ret_output)
                return r;
        r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : fd_read_all(fd, max_bytes, ret_output, ret_size);
        return r == -EFBIG ? fetch_fail(fetch, -EREMOTEIO, "it is too large") : r;
}

/* A host with a port, and a path as GitLab has them: nothing that could be an option, or mean something in a URL. */
static bool is_address(const char *name) {
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/";
        const char *slash = strchr(name, '/');
        size_t n = strspn(name, letters);

        if (!slash || !path_is_plain(name) || name[0] == '-' || slash[1] == '-')
                return false;
        if (name[n] == ':' && n > 0 && name + n < slash)
                n += 1 + strspn(name + n + 1, "0123456789");
        return name + n >= slash && slash[strspn(slash, letters)] == 0;
}

/* Is @ref something that a branch, tag or commit can be called (git-check-ref-format(1)), or a version? */
static bool is_reference(PipelineRootKind kind, const char *ref) {
        if (!ref || fetch_is_version(kind, ref))
                return true;
        for (const char *p = ref; *p; p++)
                if ((unsigned char) *p <= ' ' || *p == 0x7f || strchr("~^:?*[\\", *p))
                        return false;
        return path_is_plain(ref) && ref[0] != '-' && !strstr(ref, "..") && !strstr(ref, "@{") && strlen(ref) < 256;
}

static int find_url(Fetch *fetch, const char *name, char **ret) {
        const char *path = startswith(name, fetch->host);

        if (!is_address(name))
                return fetch_fail(fetch, -EREMOTEIO, "'%s' is no address of a project", name);
        if (!path || *path != '/')
                return string_printf(ret, "https://%s.git", name);
        if (!fetch->base)
                return fetch_fail(
                        fetch, -EREMOTEIO,
                        "this project has no remote 'origin' on a server, which its projects could come from");
        return string_printf(ret, "%s%s.git", fetch->base, path + 1);
}

static int make_repository(Fetch *fetch, FetchTree *tree, const char *kind) {
        int r = fetch_entry(fetch, kind, tree->url, true, &tree->directory);
        if (r < 0)
                return fetch_fail(fetch, -EREMOTEIO, "no repository can be made in '%s': %s", fetch->cache,
                                  strerror(-r));
        r = run_git(fetch, tree, false, ARGV("init", "--quiet", "--bare", "--template="), 0, NULL, NULL);
        return r < 0 ? r : run_git(fetch, tree, false, ARGV("config", "remote.origin.url", tree->url), 0, NULL, NULL);
}

/* Can @ref be the beginning of a commit's id, as git(1) takes it? */
static bool is_beginning(const char *ref) {
        size_t n = ref ? strspn(ref, "0123456789abcdef") : 0;

        return n >= 4 && n < 64 && !ref[n];
}

/* Finds the commit whose id begins with @tree->ref. Only git can tell, from all commits of the project: they are
 * fetched, without their files and directories, into a repository that is for nothing else. -ENOENT: there is none, or
 * more than one. */
static int find_by_beginning(Fetch *fetch, FetchTree *tree) {
        FetchTree commits = { .url = tree->url };
        _cleanup_free_ char *directory = NULL, *name = NULL, *id = NULL;

        int r = string_printf(&name, "%s^{commit}", tree->ref);
        if (r < 0)
                return r;
        r = make_repository(fetch, &commits, "commits");
        directory = commits.directory;
        if (r < 0)
                return r;
        r = run_git(fetch, &commits, true,
                    ARGV("fetch", "--quiet", "--filter=tree:0", "--no-tags", "--prune", "--no-write-fetch-head",
                         "--no-recurse-submodules", "origin", "+refs/heads/*:refs/remotes/heads/*",
                         "+refs/tags/*:refs/remotes/tags/*"),
                    0, NULL, NULL);
        if (r < 0)
                return r;
        r = run_git(fetch, &commits, false, ARGV("rev-parse", "--verify", "--quiet", "--end-of-options", name),
                    LIST_BYTES_MAX, &id, NULL);
        if (r < 0)
                return r == -EREMOTEIO ? -ENOENT : r;
        id[strcspn(id, "\n")] = 0;
        return string_replace(&tree->commit, id);
}

/* The server's refs that @tree->ref can mean: all tags for a version. */
static int ask_server(Fetch *fetch, FetchTree *tree) {
        _cleanup_strv_ char **arguments = NULL;
        _cleanup_free_ char *lines = NULL;
        const char *ref = tree->ref ? tree->ref : "HEAD";

        if (strv_extend_many(&arguments, "ls-remote", "--quiet", "origin") < 0 ||
            (fetch_is_version(tree->kind, tree->ref) && strv_extend(&arguments, "refs/tags/*") < 0) ||
            (ref[0] != '~' && strv_extend(&arguments, ref) < 0))
                return -ENOMEM;
        int r = run_git(fetch, tree, true, arguments, LIST_BYTES_MAX, &lines, NULL);
        if (r < 0)
                return r;
        r = fetch_choose(lines, tree->kind, tree->ref, &tree->commit, &tree->version);
        if (r == -ENOENT && is_beginning(tree->ref))
                r = find_by_beginning(fetch, tree);
        if (r != -ENOENT)
                return r;
        if (!tree->ref)
                return fetch_fail(fetch, -EREMOTEIO, "the project is empty");
        return fetch_fail(fetch, -EREMOTEIO, "it has no %s",
                          ref[0] == '~' ? "tag that is a version, such as '1.2.3'" :
                                          "such branch, tag, version or commit");
}

static bool has_commit(Fetch *fetch, const FetchTree *tree) {
        _cleanup_free_ char *name = NULL;

        return string_printf(&name, "%s^{tree}", tree->commit) >= 0 &&
               run_git(fetch, tree, false, ARGV("cat-file", "-e", name), 0, NULL, NULL) >= 0;
}

/* The entry of the cache that says what @tree->ref meant when it was fetched last. */
static int find_meaning(const Fetch *fetch, const FetchTree *tree, bool make, char **ret) {
        _cleanup_free_ char *name = NULL;

        int r = string_printf(&name, "%s %s %s", tree->url, tree->kind == ROOT_COMPONENT ? "version" : "ref",
                              tree->ref ? tree->ref : "HEAD");
        return r < 0 ? r : fetch_entry(fetch, "refs", name, make, ret);
}

static int write_meaning(const Fetch *fetch, const FetchTree *tree) {
        _cleanup_free_ char *directory = NULL, *text = NULL;

        int r = string_printf(&text, "%s\n%s\n", tree->commit, tree->version ? tree->version : "");
        if (r < 0)
                return r;
        r = find_meaning(fetch, tree, true, &directory);
        return r < 0 ? r : fetch_write(directory, "commit", text, strlen(text));
}

static int remember(Fetch *fetch, const FetchTree *tree) {
        int r = write_meaning(fetch, tree);
        return r < 0 ? fetch_fail(fetch, -EREMOTEIO, "it cannot be kept in '%s': %s", fetch->cache, strerror(-r)) : 0;
}

static int recall(const Fetch *fetch, FetchTree *tree) {
        _cleanup_free_ char *directory = NULL, *text = NULL;

        int r = find_meaning(fetch, tree, false, &directory);
        if (r < 0)
                return r;
        r = fetch_load(directory, "commit", &text, NULL);
        if (r < 0)
                return r == -ENOENT ? -EUNATCH : r;
        char *rest = text, *commit = strsep(&rest, "\n"), *version = rest ? strsep(&rest, "\n") : NULL;
        r = string_replace(&tree->commit, commit);
        return r < 0 || isempty(version) ? r : string_replace(&tree->version, version);
}

static int fetch_commit(Fetch *fetch, FetchTree *tree) {
        _cleanup_free_ char *shown = NULL;

        int r = string_printf(&shown, "%s%s%s", tree->name, tree->ref ? "@" : "", tree->ref ? tree->ref : "");
        if (r < 0)
                return r;
        if (fetch->note)
                fetch->note(shown);
        r = make_repository(fetch, tree, "projects");
        if (r < 0)
                return r;
        /* A whole id of a commit is no name on the server. */
        r = fetch_choose(NULL, tree->kind, tree->ref, &tree->commit, &tree->version);
        if (r == -ENOENT)
                r = ask_server(fetch, tree);
        if (r < 0)
                return r;
        if (!has_commit(fetch, tree)) {
                r = run_git(fetch, tree, true,
                            ARGV("fetch", "--quiet", "--depth=1", "--filter=blob:none", "--no-tags",
                                 "--no-write-fetch-head", "--no-recurse-submodules", "origin", tree->commit),
                            0, NULL, NULL);
                if (r < 0)
                        return r;
        }
        return remember(fetch, tree);
}

static int find_commit(Fetch *fetch, FetchTree *tree) {
        if (!is_reference(tree->kind, tree->ref))
                return fetch_fail(fetch, -EREMOTEIO, "nothing can be called '%s' there", tree->ref);
        int r = find_url(fetch, tree->name, &tree->url);
        if (r < 0)
                return r;
        if (fetch->online)
                return fetch_commit(fetch, tree);
        r = fetch_entry(fetch, "projects", tree->url, false, &tree->directory);
        r = r < 0 ? r : recall(fetch, tree);
        return r == -EEXIST ? -EUNATCH : r;
}

int fetch_tree_open(Fetch *fetch, const PipelineRoot *root, FetchTree **ret) {
        FetchTree *tree = fetch->trees;

        while (tree &&
               (tree->kind != root->kind || !streq(tree->name, root->name) || !streq_null(tree->ref, root->ref)))
                tree = tree->next;
        if (!tree) {
                tree = calloc(1, sizeof(FetchTree));
                if (!tree)
                        return -ENOMEM;
                tree->next = fetch->trees;
                fetch->trees = tree;
                tree->kind = root->kind;
                tree->error = string_replace(&tree->name, root->name);
                if (tree->error >= 0)
                        tree->error = string_replace(&tree->ref, root->ref);
                if (tree->error >= 0)
                        tree->error = find_commit(fetch, tree);
                if (tree->error < 0)
                        (void) string_replace(&tree->why, fetch->why);
        }
        if (tree->error < 0)
                return tree->why ? fetch_fail(fetch, tree->error, "%s", tree->why) : tree->error;
        *ret = tree;
        return 0;
}

/* Finds the id of the file @path, as `git ls-tree` prints it: "MODE TYPE ID\tPATH". */
static int find_file(Fetch *fetch, const FetchTree *tree, const char *path, char **ret) {
        _cleanup_free_ char *line = NULL;
        char type[16], id[80];
        unsigned mode;

        int r = run_git(fetch, tree, false, ARGV("ls-tree", "-z", "--full-tree", tree->commit, "--", path),
                        LIST_BYTES_MAX, &line, NULL);
        if (r < 0)
                return r;
        if (sscanf(line, "%o %15s %79s", &mode, type, id) != 3 || !streq(type, "blob"))
                return -ENOENT;
        if (mode == 0120000)
                return fetch_fail(fetch, -ELOOP, "it is a symbolic link");
        return string_replace(ret, id);
}

int fetch_tree_read(Fetch *fetch, const FetchTree *tree, const char *path, char **ret_data, size_t *ret_size) {
        _cleanup_free_ char *id = NULL, *text = NULL;
        uint64_t size;

        if (!path_is_plain(path))
                return -ENOENT;
        int r = find_file(fetch, tree, path, &id);
        if (r < 0)
                return r;
        /* If the file is not there yet, git asks the server for it. */
        r = run_git(fetch, tree, fetch->online, ARGV("cat-file", "-s", id), LIST_BYTES_MAX, &text, NULL);
        if (r < 0)
                return r == -EREMOTEIO && !fetch->online ? -EUNATCH : r;
        text[strcspn(text, "\n")] = 0;
        if (parse_uint64(text, &size) < 0 || size > FETCH_FILE_BYTES_MAX)
                return fetch_fail(fetch, -EFBIG, "it is too large");
        return run_git(fetch, tree, false, ARGV("cat-file", "blob", id), FETCH_FILE_BYTES_MAX, ret_data, ret_size);
}

int fetch_tree_list(Fetch *fetch, FetchTree *tree, char *const **ret_paths) {
        _cleanup_strv_ char **paths = NULL;
        _cleanup_free_ char *data = NULL;
        size_t size, n = 0;

        if (tree->paths) {
                *ret_paths = tree->paths;
                return 0;
        }
        int r = run_git(fetch, tree, false, ARGV("ls-tree", "-r", "-z", "--name-only", "--full-tree", tree->commit),
                        LIST_BYTES_MAX, &data, &size);
        if (r < 0)
                return r;
        for (size_t i = 0; i < size; i++)
                n += data[i] == 0;
        if (n > PATHS_MAX)
                return -E2BIG;
        paths = calloc(n + 1, sizeof(char *));
        if (!paths)
                return -ENOMEM;
        n = 0;
        for (const char *p = data; p < data + size; p += strlen(p) + 1)
                if (!(paths[n++] = strdup(p)))
                        return -ENOMEM;
        strv_sort(paths);
        *ret_paths = tree->paths = TAKE_PTR(paths);
        return 0;
}
