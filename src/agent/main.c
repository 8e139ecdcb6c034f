/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Entry of the agent, the static program inside the container. systemd-nspawn starts it as `agent first [INIT
 * [TARGET]]`, the container's first process: seccomp, identity, then it serves or executes INIT. As `agent lazy INIT`
 * it executes INIT on first use. As `agent service` it starts the program that the container is for. The container's
 * systemd starts it as `agent serve [PID START]`. The descriptors come as systemd passes them (LISTEN_FDS): the
 * listening socket, perhaps the seccomp filter and a socket to `supervise`, and last, for `service`, the program. Steps
 * of the command `exec` execute it, too, to move files (agent/bundle.h, agent/unpack.h). It must load nothing of the
 * image, and start nothing of the image before the filter is installed. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "agent/agent.h"
#include "agent/bundle.h"
#include "agent/init.h"
#include "agent/unpack.h"
#include "base/fd.h"
#include "base/string.h"

#define LISTEN_FDS_MAX 16

typedef struct Passed {
        int listen_fd, filter_fd, network_fd, service_fd;
} Passed;

/* The other socket is connected. */
static bool is_listening(int fd) {
        int value = 0;
        socklen_t size = sizeof(value);

        return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) >= 0 && value;
}

static int take_passed_fds(bool with_service, Passed *ret) {
        const char *text = getenv("LISTEN_FDS");
        uint64_t n;
        Passed passed = { .listen_fd = -EBADF, .filter_fd = -EBADF, .network_fd = -EBADF, .service_fd = -EBADF };
        int last_fd = LISTEN_FDS_START - 1;

        if (!text || parse_uint64(text, &n) < 0 || n > LISTEN_FDS_MAX)
                return -ENODATA;
        last_fd += (int) n;
        for (int fd = LISTEN_FDS_START; fd <= last_fd; fd++) {
                struct stat st;

                if (fstat(fd, &st) < 0)
                        return -errno;
                (void) fd_set_cloexec(fd, true);
                if (S_ISSOCK(st.st_mode) && !is_listening(fd) && passed.network_fd < 0)
                        passed.network_fd = fd;
                else if (S_ISSOCK(st.st_mode) && passed.listen_fd < 0)
                        passed.listen_fd = fd;
                else if (S_ISREG(st.st_mode) && with_service && fd == last_fd)
                        passed.service_fd = fd;
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

static int first(const Passed *passed, const char *init, const char *target, bool lazy) {
        _cleanup_free_ char *hosts = NULL;
        ServerSetup setup = SERVER_SETUP_NONE;

        /* If systemd-nspawn is killed, the container must not go on with nobody to wait for it. This also holds for
         * what we execute. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return fail(errno, "Cannot arrange to end with systemd-nspawn");
        int r = first_clear_inheritable();
        if (r < 0)
                return fail(r, "Cannot empty the inheritable capabilities");
        if (passed->network_fd >= 0) {
                r = network_wait(passed->network_fd, &hosts);
                if (r < 0)
                        return fail(r, "Cannot get an interface to the network");
                close(passed->network_fd);
        }
        if (passed->filter_fd >= 0) {
                r = first_install_seccomp(passed->filter_fd);
                if (r < 0)
                        return fail(r, "Cannot install the seccomp filter");
                close(passed->filter_fd);
        }
        first_write_identity(hosts);
        first_be_like_docker();
        if (init) {
                first_set_locale();
                setenv("LISTEN_FDS", "1", true);
                if (passed->listen_fd != LISTEN_FDS_START)
                        return fail(EBADF, "The socket is not the first descriptor");
                r = lazy ? init_run(passed->listen_fd, init) : first_execute_init(init, target, passed->listen_fd);
                (void) fail(r, init);
                server_refuse(passed->listen_fd, r);
                return EXIT_FAILURE;
        }
        setup.service_fd = passed->service_fd;
        return server_run(passed->listen_fd, &setup);
}

int main(int argc, char *argv[]) {
        bool for_service = argc == 2 && streq(argv[1], "service");
        Passed passed;

        if (argc >= 3 && streq(argv[1], "list"))
                return agent_list(argv[2], argv + 3);
        if (argc == 3 && streq(argv[1], "pack"))
                return agent_pack(argv[2]);
        if (argc == 3 && streq(argv[1], "unpack"))
                return agent_unpack(argv[2]);

        int r = take_passed_fds(for_service, &passed);
        if (r < 0)
                return fail(r, "No socket was passed");
        (void) fd_set_nonblock(passed.listen_fd, true);
        (void) umask(0022);

        if (for_service && passed.service_fd >= 0)
                return first(&passed, NULL, NULL, false);
        if (argc >= 2 && streq(argv[1], "first"))
                return first(&passed, argc >= 3 ? argv[2] : NULL, argc >= 4 ? argv[3] : NULL, false);
        if (argc == 3 && streq(argv[1], "lazy"))
                return first(&passed, argv[2], NULL, true);
        if ((argc == 2 || argc == 4) && streq(argv[1], "serve")) {
                ServerSetup setup = SERVER_SETUP_NONE;

                group_enter_own();
                if (argc == 4)
                        standby_wait(argv[2], argv[3]);
                setup.booted = true;
                return server_run(passed.listen_fd, &setup);
        }
        return fail(EINVAL, "Unknown arguments");
}
