/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Runs git, to find out about a working copy and to copy commits. Called by whatever asks git something, as the user who called
 * `exec`. Nothing that a repository names may run: neither hooks nor monitors nor filters, nor what fetches missing objects. */

#include "project/git.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/string.h"

#define OUTPUT_BYTES_MAX ((size_t) 256 * 1024 * 1024)
#define CONFIG_MAX 1000U
/* A repository can make git wait for ever: with a named pipe in place of any file that git reads. */
#define TIMEOUT_USEC (300 * USEC_PER_SEC)

/* What tells git which repository to use (`git rev-parse --local-env-vars`), as when a hook calls us, and what we set. */
static const char *const dropped[] = { "GIT_ALLOW_PROTOCOL",
                                       "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                                       "GIT_COMMON_DIR",
                                       "GIT_CONFIG",
                                       "GIT_CONFIG_COUNT",
                                       "GIT_CONFIG_PARAMETERS",
                                       "GIT_DIR",
                                       "GIT_GRAFT_FILE",
                                       "GIT_IMPLICIT_WORK_TREE",
                                       "GIT_INDEX_FILE",
                                       "GIT_INDEX_VERSION",
                                       "GIT_INTERNAL_SUPER_PREFIX",
                                       "GIT_LITERAL_PATHSPECS",
                                       "GIT_NO_LAZY_FETCH",
                                       "GIT_NO_REPLACE_OBJECTS",
                                       "GIT_OBJECT_DIRECTORY",
                                       "GIT_PREFIX",
                                       "GIT_REPLACE_REF_BASE",
                                       "GIT_SHALLOW_FILE",
                                       "GIT_TERMINAL_PROMPT",
                                       "GIT_WORK_TREE" };

static bool is_dropped(const char *entry) {
        for (size_t i = 0; i < ELEMENTSOF(dropped); i++) {
                const char *rest = startswith(entry, dropped[i]);

                if (rest && *rest == '=')
                        return true;
        }
        return false;
}

/* Adds to what the caller's environment has of configuration. */
static int add_config(char *const *config, char ***envp) {
        const char *text = getenv("GIT_CONFIG_COUNT");
        uint64_t n = 0;

        if (text && (parse_uint64(text, &n) < 0 || n > CONFIG_MAX))
                n = 0;
        for (; config && config[0]; config += 2, n++)
                if (strv_extendf(envp, "GIT_CONFIG_KEY_%" PRIu64 "=%s", n, config[0]) < 0 ||
                    strv_extendf(envp, "GIT_CONFIG_VALUE_%" PRIu64 "=%s", n, config[1]) < 0)
                        return -ENOMEM;
        return n > 0 ? strv_extendf(envp, "GIT_CONFIG_COUNT=%" PRIu64, n) : 0;
}

static int make_environment(const GitCall *call, char ***ret) {
        _cleanup_strv_ char **envp = NULL;
        char **ours = ARGV("GIT_TERMINAL_PROMPT=0", "GIT_LITERAL_PATHSPECS=1");
        char **offline = ARGV("GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none");

        for (char **entry = environ; *entry; entry++)
                if (!is_dropped(*entry) && strv_extend(&envp, *entry) < 0)
                        return -ENOMEM;
        int r = strv_extend_strv(&envp, call->prompts ? ours + 1 : ours);
        if (r < 0)
                return r;
        r = call->protocols ? strv_extendf(&envp, "GIT_ALLOW_PROTOCOL=%s", call->protocols) :
                              strv_extend_strv(&envp, offline);
        if (r < 0)
                return r;
        r = call->index ? strv_extendf(&envp, "GIT_INDEX_FILE=%s", call->index) : 0;
        if (r < 0)
                return r;
        r = add_config(call->config, &envp);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(envp);
        return 0;
}

int git_command(const GitCall *call, char *const *arguments, char ***ret_argv, char ***ret_envp) {
        _cleanup_strv_ char **argv = NULL, **envp = NULL;

        int r = strv_extend_many(&argv, "git", call->bare ? "--git-dir" : "-C", call->directory, "--no-pager",
                                 "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null",
                                 "-c", "core.quotePath=false", "-c", "safe.bareRepository=explicit", "-c", "gc.auto=0",
                                 "-c", "maintenance.auto=false");
        if (r < 0)
                return r;
        r = strv_extend_strv(&argv, arguments);
        if (r < 0)
                return r;
        r = make_environment(call, &envp);
        if (r < 0)
                return r;
        *ret_argv = TAKE_PTR(argv);
        *ret_envp = TAKE_PTR(envp);
        return 0;
}

/* Reads what git prints, through a file in memory: it may have NUL bytes, and git may never end. Returns as git_call(). */
static int git_read(const GitCall *call, char *const *arguments, char **ret_data, size_t *ret_size) {
        _cleanup_strv_ char **argv = NULL, **envp = NULL;

        _cleanup_close_ int fd = memfd_create("git", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        int r = git_command(call, arguments, &argv, &envp);
        if (r < 0)
                return r;
        const Spawn spawn = { .argv = argv,
                              .envp = envp,
                              .stdin_fd = -EBADF,
                              .stdout_fd = fd,
                              .stderr_fd = -EBADF,
                              .die_with_parent = true,
                              .file_bytes_max = OUTPUT_BYTES_MAX };
        int status = process_run_within(&spawn, TIMEOUT_USEC);
        if (status < 0)
                return status;
        r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : fd_read_all(fd, OUTPUT_BYTES_MAX, ret_data, ret_size);
        return r < 0 ? r : status;
}

int git_call(const GitCall *call, char *const *arguments, char **ret_output) {
        _cleanup_free_ char *output = NULL;
        size_t n;

        int r = git_read(call, arguments, &output, &n);
        if (r < 0)
                return r;
        n = strlen(output);
        while (n > 0 && output[n - 1] == '\n')
                output[--n] = 0;
        *ret_output = TAKE_PTR(output);
        return r;
}

int git_ask(const char *directory, char *const *arguments, char **ret_output) {
        _cleanup_free_ char *output = NULL;

        int r = git_call(&(GitCall){ .directory = directory }, arguments, &output);
        if (r < 0)
                return r;
        if (r > 0 || !*output)
                return -ENOENT;
        free(*ret_output);
        *ret_output = TAKE_PTR(output);
        return 0;
}

int git_list_call(const GitCall *call, char *const *arguments, char ***ret_items) {
        _cleanup_strv_ char **items = NULL;
        _cleanup_free_ char *data = NULL;
        size_t size, n = 0;

        int r = git_read(call, arguments, &data, &size);
        if (r != 0)
                return r < 0 ? r : -ENOENT;
        for (size_t i = 0; i < size; i++)
                n += data[i] == 0;
        items = calloc(n + 1, sizeof(char *));
        if (!items)
                return -ENOMEM;
        n = 0;
        for (const char *p = data; p < data + size; p += strlen(p) + 1)
                if (!(items[n++] = strdup(p)))
                        return -ENOMEM;
        *ret_items = TAKE_PTR(items);
        return 0;
}

int git_list(const char *directory, char *const *arguments, char ***ret_items) {
        return git_list_call(&(GitCall){ .directory = directory }, arguments, ret_items);
}

/* The value that is in force without the repository's own configuration. @items: scope, "NAME\nVALUE", scope, … */
static const char *value_elsewhere(char *const *items, const char *name, size_t n) {
        const char *value = "";

        for (; items[0] && items[1]; items += 2)
                if (!streq(items[0], "local") && !streq(items[0], "worktree") && strncmp(items[1], name, n) == 0 &&
                    items[1][n] == '\n')
                        value = items[1] + n + 1;
        return value;
}

int git_own_filters_off(const char *directory, char ***ret) {
        _cleanup_strv_ char **items = NULL, **config = NULL;

        int r = git_list(directory,
                         ARGV("config", "--null", "--show-scope", "--get-regexp",
                              "^filter\\..*\\.(clean|smudge|process|required)$"),
                         &items);
        if (r < 0 && r != -ENOENT) /* none */
                return r;
        for (char **item = items; item && item[0] && item[1]; item += 2) {
                size_t n = strcspn(item[1], "\n");

                if (!streq(item[0], "local") && !streq(item[0], "worktree"))
                        continue;
                _cleanup_free_ char *name = strndup(item[1], n);
                if (!name)
                        return -ENOMEM;
                const char *value = value_elsewhere(items, name, n);
                r = strv_extend_many(&config, name, !*value && endswith(name, ".required") ? "false" : value);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(config);
        return 0;
}
