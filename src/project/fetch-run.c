/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Runs the programs that fetch, and finds entries of the cache. Called by what fetches repositories and what fetches files. No
 * program may run without an end to its time and to what it writes. */

#include "project/fetch-run.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/process.h"
#include "base/string.h"

#define TIMEOUT_USEC (120 * USEC_PER_SEC)
#define PROMPT_TIMEOUT_USEC (600 * USEC_PER_SEC) /* if a person has to answer */
#define ERROR_BYTES_MAX ((size_t) 64 * 1024)
#define ERROR_LINES_MAX 3U

int fetch_fail(Fetch *fetch, int error, const char *format, ...) {
        char *why = NULL;
        va_list ap;

        va_start(ap, format);
        int r = string_vprintf(&why, format, ap);
        va_end(ap);
        if (r < 0)
                return r;
        free(fetch->why);
        fetch->why = why;
        return error;
}

/* What a line of git or curl says: without who says it. NULL: nothing worth repeating. */
static const char *words(char *line) {
        static const char *const prefixes[] = { "fatal: ", "error: ", "ERROR: ", "remote: ", "curl: " };

        line[strcspn(line, "\r")] = 0;
        if (startswith(line, "warning:") || startswith(line, "Warning:"))
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(prefixes); i++)
                if (startswith(line, prefixes[i])) {
                        line += strlen(prefixes[i]);
                        break;
                }
        if (line[0] == '(' && strchr(line, ')')) /* curl's number of the error */
                line = strchr(line, ')') + 1;
        line += strspn(line, " ");
        return *line ? line : NULL;
}

/* Up to the line that says that it was fatal; advice follows it. */
static int repeat(Fetch *fetch, int fd, int status) {
        _cleanup_free_ char *text = NULL, *said = NULL;
        unsigned n = 0;
        char *rest;

        if (lseek(fd, 0, SEEK_SET) < 0 || fd_read_all(fd, ERROR_BYTES_MAX, &text, NULL) < 0)
                return fetch_fail(fetch, -EREMOTEIO, "exit status %d", status);
        rest = text;
        for (char *line; n < ERROR_LINES_MAX && (line = strsep(&rest, "\n"));) {
                bool last = startswith(line, "fatal: ");
                const char *part = words(line);

                if (part && string_append(&said, "; ", "%s", part) < 0)
                        return -ENOMEM;
                n += part != NULL;
                if (last)
                        break;
        }
        if (status == 128 + SIGXFSZ)
                return fetch_fail(fetch, -EREMOTEIO, "it is too large");
        return said ? fetch_fail(fetch, -EREMOTEIO, "%s", said) :
                      fetch_fail(fetch, -EREMOTEIO, "exit status %d", status);
}

/* Waits for the program; one that takes too long is killed, with all that it started unless it shares the terminal with us. */
static int wait_for(const Fetch *fetch, pid_t pid, int pidfd, int *ret_status) {
        int r = pidfd_wait(pidfd, fetch->prompts ? PROMPT_TIMEOUT_USEC : TIMEOUT_USEC);

        if (r < 0)
                (void) kill(fetch->prompts ? pid : -pid, SIGKILL);
        int q = process_wait(pid, ret_status);
        return r < 0 ? r : q;
}

int fetch_run(Fetch *fetch, const FetchProgram *program) {
        _cleanup_close_ int error_fd = memfd_create("errors", MFD_CLOEXEC), pidfd = -EBADF;
        int status;
        pid_t pid;

        if (error_fd < 0)
                return -errno;
        const Spawn spawn = { .argv = program->argv,
                              .envp = program->envp,
                              .stdin_fd = program->stdin_fd,
                              .stdout_fd = program->stdout_fd,
                              .stderr_fd = error_fd,
                              .die_with_parent = true,
                              .own_group = !fetch->prompts,
                              .file_bytes_max = program->file_bytes_max };
        int r = process_spawn(&spawn, &pid, &pidfd);
        if (r == -ENOENT)
                return fetch_fail(fetch, -EREMOTEIO, "%s is not installed", program->argv[0]);
        if (r < 0)
                return r;
        r = wait_for(fetch, pid, pidfd, &status);
        if (r == -ETIMEDOUT)
                return fetch_fail(fetch, -EREMOTEIO, "it takes too long");
        if (r < 0)
                return r;
        int exit_status = process_exit_status(status);
        return exit_status == 0 ? 0 : repeat(fetch, error_fd, exit_status);
}

int fetch_load(const char *directory, const char *name, char **ret_data, size_t *ret_size) {
        _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : file_read_at(fd, name, FETCH_FILE_BYTES_MAX, ret_data, ret_size);
}

int fetch_write(const char *directory, const char *name, const void *data, size_t size) {
        _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : file_replace_unsynced_at(fd, name, data, size, 0600);
}

int fetch_entry(const Fetch *fetch, const char *kind, const char *name, bool make, char **ret) {
        _cleanup_free_ char *file = NULL, *directory = NULL, *whose = NULL;

        int r = hash_file_name(name, "", &file);
        if (r < 0)
                return r;
        r = string_printf(&directory, "%s/%s/%s", fetch->cache, kind, file);
        if (r < 0)
                return r;
        r = make ? mkdir_parents(directory, 0700) : 0;
        if (r < 0)
                return r;
        r = fetch_load(directory, "name", &whose, NULL);
        if (r == -ENOENT && make)
                r = fetch_write(directory, "name", name, strlen(name));
        if (r < 0)
                return r == -ENOENT || r == -ENOTDIR ? -EUNATCH : r;
        if (whose && !streq(whose, name))
                return -EEXIST;
        *ret = TAKE_PTR(directory);
        return 0;
}
