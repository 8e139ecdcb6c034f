/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Entry of the agent, the static program inside the container. systemd-nspawn starts it as `agent first [INIT]`, the
 * container's first process: seccomp, identity, then it serves or executes INIT. The container's systemd starts it as
 * `agent serve`. The descriptors come as systemd passes them (LISTEN_FDS): the listening socket, and for `first`
 * perhaps the seccomp filter, told apart by their type. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "agent/agent.h"
#include "base/fd.h"
#include "base/string.h"

#define LISTEN_FDS_START 3
#define LISTEN_FDS_MAX 16

typedef struct Passed {
        int listen_fd, filter_fd;
} Passed;

static int take_passed_fds(Passed *ret) {
        const char *text = getenv("LISTEN_FDS");
        uint64_t n;
        Passed passed = { .listen_fd = -EBADF, .filter_fd = -EBADF };

        if (!text || parse_uint64(text, &n) < 0 || n > LISTEN_FDS_MAX)
                return -ENODATA;
        for (int fd = LISTEN_FDS_START; fd < LISTEN_FDS_START + (int) n; fd++) {
                struct stat st;

                if (fstat(fd, &st) < 0)
                        return -errno;
                (void) fd_set_cloexec(fd, true);
                if (S_ISSOCK(st.st_mode) && passed.listen_fd < 0)
                        passed.listen_fd = fd;
                else if (S_ISREG(st.st_mode) && passed.filter_fd < 0)
                        passed.filter_fd = fd;
        }
        if (passed.listen_fd < 0)
                return -ENOTSOCK;
        *ret = passed;
        return 0;
}

static int fail(int error, const char *what) {
        fprintf(stderr, "nspawn-runner-agent: %s: %s\n", what, strerror(error < 0 ? -error : error));
        return EXIT_FAILURE;
}

static int first(const Passed *passed, const char *init) {
        /* systemd-nspawn, killed, would leave the container running, with nobody to wait for it. Also kept by what we
         * execute. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return fail(errno, "Cannot arrange to end with systemd-nspawn");
        int r = first_clear_inheritable();
        if (r < 0)
                return fail(r, "Cannot empty the inheritable capabilities");
        if (passed->filter_fd >= 0) {
                r = first_install_seccomp(passed->filter_fd);
                if (r < 0)
                        return fail(r, "Cannot install the seccomp filter");
                close(passed->filter_fd);
        }
        first_write_identity();
        if (init) {
                first_set_locale();
                setenv("LISTEN_FDS", "1", true);
                if (passed->listen_fd != LISTEN_FDS_START)
                        return fail(EBADF, "The socket is not the first descriptor");
                r = first_execute_init(init, passed->listen_fd);
                (void) fail(r, init);
                server_refuse(passed->listen_fd, r);
                return EXIT_FAILURE;
        }
        return server_run(passed->listen_fd, false);
}

int main(int argc, char *argv[]) {
        Passed passed = { .listen_fd = -EBADF, .filter_fd = -EBADF };

        int r = take_passed_fds(&passed);
        if (r < 0)
                return fail(r, "No socket was passed");
        (void) fd_set_nonblock(passed.listen_fd, true);
        (void) umask(0022);

        if (argc >= 2 && streq(argv[1], "first"))
                return first(&passed, argc >= 3 ? argv[2] : NULL);
        if (argc == 2 && streq(argv[1], "serve")) {
                group_enter_own();
                return server_run(passed.listen_fd, true);
        }
        return fail(EINVAL, "Unknown arguments");
}
