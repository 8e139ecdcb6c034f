/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Starts the process that relays DNS from a segment to a server of the host. segment.c does so where jobs cannot reach the
 * host's servers. The process talks to hostile containers, so it runs as user nobody and keeps only its sockets; what it
 * does with them is in relay-work.c. It must keep no lock and no other file of the supervisor. */

#include "network/relay.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "base/fd.h"
#include "network/netns.h"
#include "network/relay-work.h"

#define DNS_PORT 53
#define NOBODY 65534

/* Runs in the child. No file of the supervisor may stay open, above all no lock. */
static int become_nobody(int fds[static 4], pid_t parent) {
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (null_fd < 0)
                return -errno;
        for (unsigned i = 0; i < 4; i++)
                if (fds[i] >= 0) {
                        fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 20);
                        if (fds[i] < 0)
                                return -errno;
                }
        for (int i = 0; i < 3; i++)
                if (dup2(null_fd, i) < 0)
                        return -errno;
        if (close_range(3, 19, 0) < 0)
                return -errno;
        for (unsigned i = 0; i < 4; i++)
                if (fds[i] >= 0) {
                        if (dup2(fds[i], (int) (3 + i)) < 0)
                                return -errno;
                        fds[i] = (int) (3 + i);
                }
        if (close_range(7, ~0U, 0) < 0 || setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
            setresuid(NOBODY, NOBODY, NOBODY) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        /* Set after the change of user, which clears it. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return -errno;
        return getppid() == parent ? 0 : -ESRCH;
}

static int run(RelayWork *relay, pid_t parent) {
        int fds[4] = { relay->udp_fds[0], relay->udp_fds[1], relay->tcp_fds[0], relay->tcp_fds[1] };

        int r = become_nobody(fds, parent);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < 2; i++) {
                relay->udp_fds[i] = fds[i];
                relay->tcp_fds[i] = fds[2 + i];
        }
        for (;;) {
                uint64_t next = relay_work_clock(relay, clock_now_usec());

                relay_work_wait(relay, clock_poll_timeout(next));
        }
}

static int listen_at(const Hub *hub, int family, int type) {
        IpNetwork address = block_address(&hub->block, family, BLOCK_HUB, true);
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(DNS_PORT) };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(DNS_PORT) };

        memcpy(&in.sin_addr, address.address, sizeof(in.sin_addr));
        memcpy(&in6.sin6_addr, address.address, sizeof(in6.sin6_addr));
        _cleanup_close_ int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        const struct sockaddr *to = family == AF_INET ? (struct sockaddr *) &in : (struct sockaddr *) &in6;
        if (bind(fd, to, family == AF_INET ? sizeof(in) : sizeof(in6)) < 0 ||
            (type == SOCK_STREAM && listen(fd, RELAY_CONNECTIONS_MAX) < 0))
                return -errno;
        return TAKE_FD(fd);
}

static int listen_for_family(const Hub *hub, int family, int *ret_udp_fd, int *ret_tcp_fd) {
        *ret_udp_fd = listen_at(hub, family, SOCK_DGRAM);
        if (*ret_udp_fd < 0)
                return *ret_udp_fd;
        *ret_tcp_fd = listen_at(hub, family, SOCK_STREAM);
        return MIN(*ret_tcp_fd, 0);
}

static int listen_in_hub(const Hub *hub, RelayWork *relay) {
        int r = netns_enter(hub->netns_fd);
        if (r < 0)
                return r;
        r = listen_for_family(hub, AF_INET, &relay->udp_fds[0], &relay->tcp_fds[0]);
        int q = hub->ipv6 ? listen_for_family(hub, AF_INET6, &relay->udp_fds[1], &relay->tcp_fds[1]) : 0;
        if (netns_enter(hub->host_fd) < 0)
                _exit(EXIT_FAILURE);
        return MIN(r, q);
}

int relay_start(const Hub *hub, const Names *names, Problem *reterr_problem) {
        _cleanup_(relay_work_freep) RelayWork *relay = relay_work_new(names);
        pid_t parent = getpid();

        if (!relay)
                return problem_set(reterr_problem, -ENOMEM, "%m");
        int r = listen_in_hub(hub, relay);
        if (r < 0)
                return problem_set(reterr_problem, r, "cannot listen in the job's network for its names: %m");
        pid_t pid = fork();
        if (pid < 0)
                return problem_set(reterr_problem, -errno, "cannot start looking up names for the job's network: %m");
        if (pid == 0)
                _exit(-run(relay, parent));
        return 0;
}
