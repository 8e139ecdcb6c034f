/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Makes a pipeline's sources in a process of their own, as the user whose working copy it is. Called by the process
 * that starts jobs, which must not wait: the first containers are being prepared at the same time. Jobs wait for the
 * end of a pipe, and find the result in a file, which all of them can read. */

#include "local/sources-maker.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/new-file.h"
#include "base/process.h"
#include "base/string.h"
#include "local/sources.h"

/* Of the result: an error or 0, what failed, and the paths of empty submodules, each text with a NUL. */
#define RESULT_BYTES_MAX ((size_t) 64 * 1024 * 1024)

static int write_result(int fd, int32_t result, const Problem *problem, char *const *empty) {
        int r = fd_write_all(fd, &result, sizeof(result));
        if (r < 0)
                return r;
        r = fd_write_all(fd, problem->text, strlen(problem->text) + 1);
        if (r < 0)
                return r;
        for (; empty && *empty; empty++) {
                r = fd_write_all(fd, *empty, strlen(*empty) + 1);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int make(const SourcesRequest *request, const SourcesMaker *maker) {
        _cleanup_strv_ char **empty = NULL;
        Problem problem = { 0 };

        int r = sources_make(request, maker->bundle_fd, &empty, &problem);
        return write_result(maker->result_fd, r, &problem, empty);
}

static int start(const SourcesRequest *request, SourcesMaker *maker) {
        int pipe_fds[2];

        maker->bundle_fd = file_open_unnamed(request->cache);
        if (maker->bundle_fd < 0)
                return maker->bundle_fd;
        maker->result_fd = memfd_create("sources", MFD_CLOEXEC);
        if (maker->result_fd < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        maker->done_fd = pipe_fds[0];
        maker->pid = fork();
        if (maker->pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) setpgid(0, 0);
                _exit(make(request, maker) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
        }
        int r = maker->pid < 0 ? -errno : 0;
        close(pipe_fds[1]);
        /* It has a group of its own, with git and the filters that git starts: Ctrl-C is for the broker, which cancels
         * the jobs. */
        if (maker->pid > 0)
                (void) setpgid(maker->pid, maker->pid);
        return r;
}

int sources_maker_start(const SourcesRequest *request, SourcesMaker *ret, Problem *reterr_problem) {
        SourcesMaker maker = SOURCES_MAKER_NONE;

        int r = start(request, &maker);
        if (r < 0) {
                maker.pid = 0;
                sources_maker_done(&maker);
                return problem_set(reterr_problem, r, "Cannot begin to make sources in '%s': %m", request->cache);
        }
        *ret = maker;
        return 0;
}

void sources_maker_done(SourcesMaker *maker) {
        int status;

        if (maker->pid > 0) {
                (void) kill(-maker->pid, SIGKILL);
                (void) process_wait(maker->pid, &status);
        }
        closep(&maker->done_fd);
        closep(&maker->bundle_fd);
        closep(&maker->result_fd);
        *maker = SOURCES_MAKER_NONE;
}

/* Several processes read it, and share one position. */
static int read_result(int fd, char **ret, size_t *ret_size) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        size_t size = (size_t) st.st_size;
        if (size <= sizeof(int32_t) || size > RESULT_BYTES_MAX)
                return -EIO;
        _cleanup_free_ char *data = calloc(1, size + 1);
        if (!data)
                return -ENOMEM;
        if (pread(fd, data, size, 0) != st.st_size)
                return -EIO;
        *ret = TAKE_PTR(data);
        *ret_size = size;
        return 0;
}

int sources_maker_result(const SourcesMaker *maker, char ***ret_empty, Problem *reterr_problem) {
        _cleanup_strv_ char **empty = NULL;
        _cleanup_free_ char *data = NULL;
        int32_t result;
        size_t size;

        int r = read_result(maker->result_fd, &data, &size);
        if (r < 0)
                return problem_set(reterr_problem, r, "Cannot make the sources: the process for that was killed");
        memcpy(&result, data, sizeof(result));
        const char *text = data + sizeof(result);
        if (result < 0)
                return problem_set(reterr_problem, result, "%s", text);
        for (const char *path = text + strlen(text) + 1; path < data + size; path += strlen(path) + 1) {
                r = strv_extend(&empty, path);
                if (r < 0)
                        return problem_set(reterr_problem, r, "%m");
        }
        *ret_empty = TAKE_PTR(empty);
        return 0;
}
