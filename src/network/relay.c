/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The process that relays DNS from a segment to a server of the host. segment.c starts it where jobs cannot reach the
 * host's servers. It talks to hostile containers, so it runs as user nobody, keeps only its sockets, and must never
 * look into what it copies. A job must be able to do no more harm than to make it forget questions. */

#include "network/relay.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/process.h"
#include "network/netns.h"

#define DNS_PORT 53
#define NOBODY 65534

/* How many questions may wait for an answer, and how many connections there may be. A new one replaces the oldest. */
#define QUESTIONS_MAX 128
#define CONNECTIONS_MAX 32
#define QUESTION_BYTES_MAX 4096

/* How long to wait before the next server is asked, and when to give up a question or a silent connection. */
#define SERVER_USEC (1500 * USEC_PER_MSEC)
#define QUESTION_USEC (10 * USEC_PER_SEC)
#define CONNECTION_USEC (60 * USEC_PER_SEC)

typedef struct Question {
        int fd; /* to the server; negative: this place is free */
        int from_fd;
        struct sockaddr_storage from;
        socklen_t from_size;
        size_t server;
        uint64_t next_usec, end_usec;
        size_t size;
        char *data;
} Question;

typedef struct Connection {
        int fds[2]; /* of the container and of the server; negative: this place is free */
        bool ended[2];
        uint64_t end_usec;
} Connection;

typedef struct Relay {
        const Names *names;
        int udp_fds[2], tcp_fds[2]; /* IPv4 and IPv6 */
        Question questions[QUESTIONS_MAX];
        Connection connections[CONNECTIONS_MAX];
        struct pollfd pollfds[4 + QUESTIONS_MAX + 2 * CONNECTIONS_MAX];
        char buffer[65536];
} Relay;

static socklen_t address_size(const struct sockaddr_storage *address) {
        return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

/* --- UDP --- */

static void question_end(Question *question) {
        closep(&question->fd);
        question->fd = -EBADF;
        free(question->data);
        question->data = NULL;
}

/* Asks the next server, if there is one. */
static void question_ask(const Relay *relay, Question *question) {
        for (; question->server < relay->names->n_relayed; question->server++) {
                const struct sockaddr_storage *server = relay->names->relayed + question->server;

                closep(&question->fd);
                question->fd = socket(server->ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                if (question->fd >= 0 &&
                    connect(question->fd, (const struct sockaddr *) server, address_size(server)) >= 0 &&
                    send(question->fd, question->data, question->size, MSG_NOSIGNAL) >= 0) {
                        question->server++;
                        question->next_usec = clock_deadline(SERVER_USEC);
                        return;
                }
        }
        question_end(question);
}

static Question *find_place(Relay *relay) {
        Question *oldest = relay->questions;

        for (size_t i = 0; i < QUESTIONS_MAX; i++) {
                if (relay->questions[i].fd < 0)
                        return relay->questions + i;
                if (relay->questions[i].end_usec < oldest->end_usec)
                        oldest = relay->questions + i;
        }
        question_end(oldest);
        return oldest;
}

static void take_question(Relay *relay, int fd) {
        struct sockaddr_storage from;
        socklen_t from_size = sizeof(from);

        ssize_t size = recvfrom(fd, relay->buffer, sizeof(relay->buffer), MSG_DONTWAIT, (struct sockaddr *) &from,
                                &from_size);
        if (size <= 0 || size > QUESTION_BYTES_MAX)
                return;
        Question *question = find_place(relay);
        question->data = malloc((size_t) size);
        if (!question->data)
                return;
        question->from_fd = fd;
        question->from = from;
        question->from_size = from_size;
        question->server = 0;
        question->end_usec = clock_deadline(QUESTION_USEC);
        question->size = (size_t) size;
        memcpy(question->data, relay->buffer, (size_t) size);
        question_ask(relay, question);
}

static void take_answer(Relay *relay, Question *question) {
        ssize_t size = recv(question->fd, relay->buffer, sizeof(relay->buffer), MSG_DONTWAIT);

        if (size < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (size < 0) { /* the server does not listen */
                question_ask(relay, question);
                return;
        }
        (void) sendto(question->from_fd, relay->buffer, (size_t) size, MSG_DONTWAIT | MSG_NOSIGNAL,
                      (struct sockaddr *) &question->from, question->from_size);
        question_end(question);
}

/* --- TCP --- */

static void connection_end(Connection *connection) {
        for (unsigned i = 0; i < 2; i++) {
                closep(&connection->fds[i]);
                connection->fds[i] = -EBADF;
                connection->ended[i] = false;
        }
}

/* Connects to the first server that accepts. The servers are on this host, so they accept or refuse at once. */
static int connect_server(const Relay *relay) {
        for (size_t i = 0; i < relay->names->n_relayed; i++) {
                const struct sockaddr_storage *server = relay->names->relayed + i;
                const struct timeval timeout = { .tv_sec = 1 };

                _cleanup_close_ int fd = socket(server->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
                if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
                        continue;
                if (connect(fd, (const struct sockaddr *) server, address_size(server)) >= 0)
                        return TAKE_FD(fd);
        }
        return -ECONNREFUSED;
}

static void take_connection(Relay *relay, int listen_fd) {
        const struct timeval timeout = { .tv_sec = 1 };
        Connection *place = relay->connections;

        _cleanup_close_ int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
                return;
        for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
                if (relay->connections[i].fds[0] < 0) {
                        place = relay->connections + i;
                        break;
                }
                if (relay->connections[i].end_usec < place->end_usec)
                        place = relay->connections + i;
        }
        connection_end(place);
        /* Gives up an end that does not read what it asked for. */
        (void) setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
        place->fds[1] = connect_server(relay);
        if (place->fds[1] < 0) {
                connection_end(place);
                return;
        }
        place->fds[0] = TAKE_FD(fd);
        place->end_usec = clock_deadline(CONNECTION_USEC);
}

static void copy(Relay *relay, Connection *connection, unsigned from) {
        ssize_t size = recv(connection->fds[from], relay->buffer, sizeof(relay->buffer), MSG_DONTWAIT);

        if (size < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (size == 0 && !connection->ended[!from]) {
                connection->ended[from] = true;
                (void) shutdown(connection->fds[!from], SHUT_WR);
                return;
        }
        for (ssize_t done = 0; size > 0 && done < size;) {
                ssize_t n = send(connection->fds[!from], relay->buffer + done, (size_t) (size - done), MSG_NOSIGNAL);
                if (n <= 0)
                        size = -1;
                else
                        done += n;
        }
        if (size <= 0)
                connection_end(connection);
        else
                connection->end_usec = clock_deadline(CONNECTION_USEC);
}

/* --- the process --- */

/* Ends and repeats questions and connections whose time has come. Returns the time when the next one is due. */
static uint64_t look_at_clock(Relay *relay) {
        uint64_t now = clock_now_usec(), next = USEC_INFINITY;

        for (size_t i = 0; i < QUESTIONS_MAX; i++) {
                Question *question = relay->questions + i;

                if (question->fd >= 0 && question->end_usec <= now)
                        question_end(question);
                if (question->fd >= 0 && question->next_usec <= now && question->server < relay->names->n_relayed)
                        question_ask(relay, question);
                if (question->fd < 0)
                        continue;
                next = MIN(next, question->end_usec);
                if (question->server < relay->names->n_relayed)
                        next = MIN(next, question->next_usec);
        }
        for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
                Connection *connection = relay->connections + i;

                if (connection->fds[0] >= 0 && connection->end_usec <= now)
                        connection_end(connection);
                if (connection->fds[0] >= 0)
                        next = MIN(next, connection->end_usec);
        }
        return next;
}

static size_t fill_pollfds(Relay *relay) {
        struct pollfd *p = relay->pollfds;

        for (unsigned i = 0; i < 2; i++) {
                *p++ = (struct pollfd){ .fd = relay->udp_fds[i], .events = POLLIN };
                *p++ = (struct pollfd){ .fd = relay->tcp_fds[i], .events = POLLIN };
        }
        for (size_t i = 0; i < QUESTIONS_MAX; i++)
                *p++ = (struct pollfd){ .fd = relay->questions[i].fd, .events = POLLIN };
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
                for (unsigned end = 0; end < 2; end++)
                        *p++ = (struct pollfd){ .fd = relay->connections[i].ended[end] ? -EBADF :
                                                                                         relay->connections[i].fds[end],
                                                .events = POLLIN };
        return (size_t) (p - relay->pollfds);
}

/* Serves answers before questions, so that a place that a new question takes is not mistaken for the one that was
 * polled. */
static void serve(Relay *relay) {
        const struct pollfd *p = relay->pollfds + 4;

        for (size_t i = 0; i < QUESTIONS_MAX; i++, p++)
                if (p->fd >= 0 && p->revents)
                        take_answer(relay, relay->questions + i);
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
                for (unsigned end = 0; end < 2; end++, p++)
                        if (p->fd >= 0 && p->revents && relay->connections[i].fds[end] == p->fd)
                                copy(relay, relay->connections + i, end);
        for (unsigned i = 0; i < 2; i++) {
                if (relay->pollfds[2 * i].revents)
                        take_question(relay, relay->udp_fds[i]);
                if (relay->pollfds[2 * i + 1].revents)
                        take_connection(relay, relay->tcp_fds[i]);
        }
}

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

static int run(Relay *relay, pid_t parent) {
        int fds[4] = { relay->udp_fds[0], relay->udp_fds[1], relay->tcp_fds[0], relay->tcp_fds[1] };

        int r = become_nobody(fds, parent);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < 2; i++) {
                relay->udp_fds[i] = fds[i];
                relay->tcp_fds[i] = fds[2 + i];
        }
        for (;;) {
                uint64_t next = look_at_clock(relay);
                size_t n = fill_pollfds(relay);

                if (poll(relay->pollfds, (nfds_t) n, clock_poll_timeout(next)) > 0)
                        serve(relay);
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
            (type == SOCK_STREAM && listen(fd, CONNECTIONS_MAX) < 0))
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

static int listen_in_hub(const Hub *hub, Relay *relay) {
        int r = netns_enter(hub->netns_fd);
        if (r < 0)
                return r;
        r = listen_for_family(hub, AF_INET, &relay->udp_fds[0], &relay->tcp_fds[0]);
        int q = hub->ipv6 ? listen_for_family(hub, AF_INET6, &relay->udp_fds[1], &relay->tcp_fds[1]) : 0;
        if (netns_enter(hub->host_fd) < 0)
                _exit(EXIT_FAILURE);
        return MIN(r, q);
}

static Relay *relay_new(const Names *names) {
        Relay *relay = calloc(1, sizeof(Relay));

        if (!relay)
                return NULL;
        relay->names = names;
        for (unsigned i = 0; i < 2; i++)
                relay->udp_fds[i] = relay->tcp_fds[i] = -EBADF;
        for (size_t i = 0; i < QUESTIONS_MAX; i++)
                relay->questions[i].fd = -EBADF;
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
                relay->connections[i].fds[0] = relay->connections[i].fds[1] = -EBADF;
        return relay;
}

static void relay_free(Relay *relay) {
        for (unsigned i = 0; i < 2; i++) {
                closep(&relay->udp_fds[i]);
                closep(&relay->tcp_fds[i]);
        }
        free(relay);
}
DEFINE_CLEANUP(Relay *, relay_free)

int relay_start(const Hub *hub, const Names *names, Problem *reterr_problem) {
        _cleanup_(relay_freep) Relay *relay = relay_new(names);
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
