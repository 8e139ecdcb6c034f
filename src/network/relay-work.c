/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Copies DNS questions and answers between a job's containers and a server of the host, for the process that relay.c
 * starts. Containers are hostile, and so may be who answers. It must never look into what it copies, nor let a job have
 * more of the host's server than a fixed share: a job must be able to do no more harm than to make it forget the job's
 * own questions. */

#include "network/relay-work.h"

#include <netinet/in.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"

#define QUESTION_BYTES_MAX 4096
/* How long to wait before the next server is asked. */
#define SERVER_USEC (1500 * USEC_PER_MSEC)

static socklen_t address_size(const struct sockaddr_storage *address) {
        return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

/* --- UDP --- */

static void question_end(Question *question) {
        free(question->data);
        question->data = NULL;
}

static void question_disconnect(Question *question) {
        closep(&question->fd);
}

/* Has a socket for a server. What came for an earlier question is not for this one. 0 or -errno. */
static int question_connect(const RelayWork *work, Question *question) {
        const struct sockaddr_storage *server = work->names->relayed + question->server;
        char byte;

        if (question->fd >= 0 && question->connected == question->server) {
                while (recv(question->fd, &byte, sizeof(byte), MSG_DONTWAIT) >= 0)
                        ;
                return 0;
        }
        question_disconnect(question);
        question->fd = socket(server->ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (question->fd < 0 || connect(question->fd, (const struct sockaddr *) server, address_size(server)) < 0)
                return -errno;
        question->connected = question->server;
        return 0;
}

/* Asks the next server, if there is one. */
static void question_ask(const RelayWork *work, Question *question) {
        for (; question->server < work->names->n_relayed; question->server++) {
                if (question_connect(work, question) >= 0 &&
                    send(question->fd, question->data, question->size, MSG_NOSIGNAL) >= 0) {
                        question->server++;
                        question->next_usec = work->now_usec + SERVER_USEC;
                        return;
                }
                question_disconnect(question);
        }
        question_end(question);
}

/* Returns a free place, or takes that of the oldest question whose asker waits no more; NULL: there is none. */
static Question *find_place(RelayWork *work) {
        Question *oldest = work->questions;

        for (size_t i = 0; i < RELAY_QUESTIONS_MAX; i++) {
                if (!work->questions[i].data)
                        return work->questions + i;
                if (work->questions[i].asked_usec < oldest->asked_usec)
                        oldest = work->questions + i;
        }
        if (work->now_usec < oldest->asked_usec + RELAY_ASKED_USEC)
                return NULL;
        question_end(oldest);
        question_disconnect(oldest); /* the old answer may still come */
        return oldest;
}

static void take_question(RelayWork *work, int fd) {
        struct sockaddr_storage from;
        socklen_t from_size = sizeof(from);

        ssize_t size = recvfrom(fd, work->buffer, sizeof(work->buffer), MSG_DONTWAIT, (struct sockaddr *) &from,
                                &from_size);
        if (size <= 0 || size > QUESTION_BYTES_MAX)
                return;
        Question *question = find_place(work);
        if (!question)
                return;
        question->data = malloc((size_t) size);
        if (!question->data)
                return;
        question->from_fd = fd;
        question->from = from;
        question->from_size = from_size;
        question->server = 0;
        question->asked_usec = work->now_usec;
        question->size = (size_t) size;
        memcpy(question->data, work->buffer, (size_t) size);
        question_ask(work, question);
}

static void take_answer(RelayWork *work, Question *question) {
        ssize_t size = recv(question->fd, work->buffer, sizeof(work->buffer), MSG_DONTWAIT);

        if (size < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (size < 0) { /* the server does not listen */
                question_disconnect(question);
                question_ask(work, question);
                return;
        }
        (void) sendto(question->from_fd, work->buffer, (size_t) size, MSG_DONTWAIT | MSG_NOSIGNAL,
                      (struct sockaddr *) &question->from, question->from_size);
        question_end(question);
}

/* --- TCP --- */

static void connection_end(Connection *connection) {
        for (unsigned i = 0; i < 2; i++) {
                closep(&connection->fds[i]);
                connection->ended[i] = connection->full[i] = false;
        }
}

/* Connects to the first server that accepts. The servers are on this host, so they accept or refuse at once. */
static int connect_server(const RelayWork *work) {
        for (size_t i = 0; i < work->names->n_relayed; i++) {
                const struct sockaddr_storage *server = work->names->relayed + i;
                const struct timeval timeout = { .tv_sec = 1 };

                _cleanup_close_ int fd = socket(server->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
                if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
                        continue;
                if (connect(fd, (const struct sockaddr *) server, address_size(server)) >= 0)
                        return TAKE_FD(fd);
        }
        return -ECONNREFUSED;
}

/* A new connection replaces the oldest. */
static void take_connection(RelayWork *work, int listen_fd) {
        Connection *place = work->connections;

        _cleanup_close_ int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
                return;
        for (size_t i = 0; i < RELAY_CONNECTIONS_MAX; i++) {
                if (work->connections[i].fds[0] < 0) {
                        place = work->connections + i;
                        break;
                }
                if (work->connections[i].end_usec < place->end_usec)
                        place = work->connections + i;
        }
        connection_end(place);
        place->fds[1] = connect_server(work);
        if (place->fds[1] < 0) {
                connection_end(place);
                return;
        }
        place->fds[0] = TAKE_FD(fd);
        place->end_usec = work->now_usec + RELAY_CONNECTION_USEC;
}

/* Copies what end @from has said. What the other end does not take stays in the kernel. */
static void copy(RelayWork *work, Connection *connection, unsigned from) {
        int from_fd = connection->fds[from], to_fd = connection->fds[!from];

        ssize_t size = recv(from_fd, work->buffer, sizeof(work->buffer), MSG_PEEK | MSG_DONTWAIT);
        if (size < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (size == 0 && !connection->ended[!from]) {
                connection->ended[from] = true;
                (void) shutdown(to_fd, SHUT_WR);
                return;
        }
        if (size <= 0) {
                connection_end(connection);
                return;
        }
        ssize_t sent = send(to_fd, work->buffer, (size_t) size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN)
                connection->full[!from] = true;
        else if (sent <= 0 || recv(from_fd, work->buffer, (size_t) sent, MSG_DONTWAIT) != sent)
                connection_end(connection);
}

/* --- both --- */

static uint64_t look_at_question(const RelayWork *work, Question *question) {
        bool more = question->server < work->names->n_relayed;

        if (question->asked_usec + RELAY_QUESTION_USEC <= work->now_usec) {
                question_end(question);
                question_disconnect(question);
                return USEC_INFINITY;
        }
        if (more && question->next_usec <= work->now_usec)
                question_ask(work, question);
        if (!question->data)
                return USEC_INFINITY;
        more = question->server < work->names->n_relayed;
        return MIN(question->asked_usec + RELAY_QUESTION_USEC, more ? question->next_usec : USEC_INFINITY);
}

uint64_t relay_work_clock(RelayWork *work, uint64_t now_usec) {
        uint64_t next = USEC_INFINITY;

        work->now_usec = now_usec;
        for (size_t i = 0; i < RELAY_QUESTIONS_MAX; i++)
                if (work->questions[i].data)
                        next = MIN(next, look_at_question(work, work->questions + i));
        for (size_t i = 0; i < RELAY_CONNECTIONS_MAX; i++) {
                Connection *connection = work->connections + i;

                if (connection->fds[0] >= 0 && connection->end_usec <= now_usec)
                        connection_end(connection);
                if (connection->fds[0] >= 0)
                        next = MIN(next, connection->end_usec);
        }
        return next;
}

/* What to wait for at an end of a connection. */
static struct pollfd pollfd_of(const Connection *connection, unsigned end) {
        short events = (short) ((connection->ended[end] || connection->full[!end] ? 0 : POLLIN) |
                                (connection->full[end] ? POLLOUT : 0));

        return (struct pollfd){ .fd = events ? connection->fds[end] : -EBADF, .events = events };
}

static size_t fill_pollfds(RelayWork *work) {
        struct pollfd *p = work->pollfds;

        for (unsigned i = 0; i < 2; i++) {
                *p++ = (struct pollfd){ .fd = work->udp_fds[i], .events = POLLIN };
                *p++ = (struct pollfd){ .fd = work->tcp_fds[i], .events = POLLIN };
        }
        for (size_t i = 0; i < RELAY_QUESTIONS_MAX; i++)
                *p++ = (struct pollfd){ .fd = work->questions[i].data ? work->questions[i].fd : -EBADF,
                                        .events = POLLIN };
        for (size_t i = 0; i < RELAY_CONNECTIONS_MAX; i++)
                for (unsigned end = 0; end < 2; end++)
                        *p++ = pollfd_of(work->connections + i, end);
        return (size_t) (p - work->pollfds);
}

static void serve_connection(RelayWork *work, Connection *connection, unsigned end, const struct pollfd *polled) {
        if (polled->fd < 0 || connection->fds[end] != polled->fd)
                return;
        if (polled->events & POLLOUT && polled->revents & ~POLLIN) {
                connection->full[end] = false;
                copy(work, connection, !end);
        }
        if (polled->events & POLLIN && polled->revents & ~POLLOUT && connection->fds[end] == polled->fd)
                copy(work, connection, end);
}

/* Serves answers before questions, so that a place that a new question takes is not mistaken for the one that was
 * polled. */
static void serve(RelayWork *work) {
        const struct pollfd *p = work->pollfds + 4;

        for (size_t i = 0; i < RELAY_QUESTIONS_MAX; i++, p++)
                if (p->fd >= 0 && p->revents)
                        take_answer(work, work->questions + i);
        for (size_t i = 0; i < RELAY_CONNECTIONS_MAX; i++)
                for (unsigned end = 0; end < 2; end++, p++)
                        serve_connection(work, work->connections + i, end, p);
        for (unsigned i = 0; i < 2; i++) {
                if (work->pollfds[2 * i].revents)
                        take_question(work, work->udp_fds[i]);
                if (work->pollfds[2 * i + 1].revents)
                        take_connection(work, work->tcp_fds[i]);
        }
}

void relay_work_wait(RelayWork *work, int timeout_msec) {
        size_t n = fill_pollfds(work);

        if (poll(work->pollfds, (nfds_t) n, timeout_msec) > 0)
                serve(work);
}

RelayWork *relay_work_new(const Names *names) {
        RelayWork *work = calloc(1, sizeof(RelayWork));

        if (!work)
                return NULL;
        work->names = names;
        for (unsigned i = 0; i < 2; i++)
                work->udp_fds[i] = work->tcp_fds[i] = -EBADF;
        for (size_t i = 0; i < RELAY_QUESTIONS_MAX; i++)
                work->questions[i].fd = -EBADF;
        for (size_t i = 0; i < RELAY_CONNECTIONS_MAX; i++)
                work->connections[i].fds[0] = work->connections[i].fds[1] = -EBADF;
        return work;
}

void relay_work_free(RelayWork *work) {
        for (unsigned i = 0; i < 2; i++) {
                closep(&work->udp_fds[i]);
                closep(&work->tcp_fds[i]);
        }
        for (size_t i = 0; i < RELAY_QUESTIONS_MAX; i++) {
                question_end(work->questions + i);
                question_disconnect(work->questions + i);
        }
        for (size_t i = 0; i < RELAY_CONNECTIONS_MAX; i++)
                connection_end(work->connections + i);
        free(work);
}
