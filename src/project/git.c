/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Runs git to find out about a working copy. Called by checkout.c. Hooks and monitors of the repository must be off,
 * and git must never ask for anything. */

#include "project/git.h"

#include <sys/mman.h>

#include "base/fd.h"
#include "base/process.h"
#include "base/string.h"

#define OUTPUT_BYTES_MAX ((size_t) 256 * 1024 * 1024)

static int spawn_git(const char *directory, char *const *arguments, int stdout_fd, Spawn *ret, char ***ret_argv) {
        _cleanup_strv_ char **argv = NULL;

        int r = strv_extend_many(&argv, "git", "-C", directory, "--no-pager", "--no-optional-locks", "-c",
                                 "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c",
                                 "core.quotePath=false");
        if (r < 0)
                return r;
        r = strv_extend_strv(&argv, arguments);
        if (r < 0)
                return r;
        *ret = (Spawn){
                .argv = argv, .stdin_fd = -EBADF, .stdout_fd = stdout_fd, .stderr_fd = -EBADF, .die_with_parent = true
        };
        *ret_argv = TAKE_PTR(argv);
        return 0;
}

int git_run(const char *directory, char *const *arguments, char **ret_output) {
        _cleanup_strv_ char **argv = NULL;
        _cleanup_free_ char *output = NULL;
        Spawn spawn;

        int r = spawn_git(directory, arguments, -EBADF, &spawn, &argv);
        if (r < 0)
                return r;
        r = process_capture(&spawn, OUTPUT_BYTES_MAX, &output);
        if (r < 0)
                return r;
        for (size_t n = strlen(output); n > 0 && output[n - 1] == '\n';)
                output[--n] = 0;
        *ret_output = TAKE_PTR(output);
        return r;
}

int git_ask(const char *directory, char *const *arguments, char **ret_output) {
        _cleanup_free_ char *output = NULL;

        int r = git_run(directory, arguments, &output);
        if (r < 0)
                return r;
        if (r > 0 || !*output)
                return -ENOENT;
        free(*ret_output);
        *ret_output = TAKE_PTR(output);
        return 0;
}

/* Reads the output of git through a file in memory, because it may have NUL bytes. */
static int git_read(const char *directory, char *const *arguments, char **ret_data, size_t *ret_size) {
        _cleanup_strv_ char **argv = NULL;
        Spawn spawn;

        _cleanup_close_ int fd = memfd_create("git", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        int r = spawn_git(directory, arguments, fd, &spawn, &argv);
        if (r < 0)
                return r;
        r = process_run(&spawn);
        if (r < 0)
                return r;
        if (r > 0)
                return -ENOENT;
        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        return fd_read_all(fd, OUTPUT_BYTES_MAX, ret_data, ret_size);
}

int git_list(const char *directory, char *const *arguments, char ***ret_items) {
        _cleanup_strv_ char **items = NULL;
        _cleanup_free_ char *data = NULL;
        size_t size, n = 0;

        int r = git_read(directory, arguments, &data, &size);
        if (r < 0)
                return r;
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
