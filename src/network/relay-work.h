/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <poll.h>

#include "network/names.h"

/* What the relaying process (network/relay.h) does, without the process: sockets in, sockets out. */

/* How many questions may wait for an answer, and how many connections there may be. The host's server has room for few:
 * dnsmasq takes 20 connections, unbound 10. */
#define RELAY_QUESTIONS_MAX 128
#define RELAY_CONNECTIONS_MAX 4

/* Who asked over UDP has given up after this time, or asks again. */
#define RELAY_ASKED_USEC (5 * USEC_PER_SEC)
/* When a question and a connection are given up, whatever happens on them. */
#define RELAY_QUESTION_USEC (10 * USEC_PER_SEC)
#define RELAY_CONNECTION_USEC (20 * USEC_PER_SEC)

/* A question over UDP. Its socket is used for another one once it was answered, so that questions do not open one
 * connection after another for the host to track. */
typedef struct Question {
        int fd;                   /* to the server; negative: none yet */
        size_t server, connected; /* the next to ask, and the one that @fd is for */
        int from_fd;
        struct sockaddr_storage from;
        socklen_t from_size;
        uint64_t asked_usec, next_usec;
        size_t size;
        char *data; /* NULL: this place is free */
} Question;

typedef struct Connection {
        int fds[2];    /* of the container and of the server; negative: this place is free */
        bool ended[2]; /* it says no more */
        bool full[2];  /* it takes no more for now */
        uint64_t end_usec;
} Connection;

typedef struct RelayWork {
        const Names *names;
        int udp_fds[2], tcp_fds[2]; /* IPv4 and IPv6, where it listens; negative: it does not */
        uint64_t now_usec;
        Question questions[RELAY_QUESTIONS_MAX];
        Connection connections[RELAY_CONNECTIONS_MAX];
        struct pollfd pollfds[4 + RELAY_QUESTIONS_MAX + 2 * RELAY_CONNECTIONS_MAX];
        char buffer[65536];
} RelayWork;

/* Returns one that relays to the servers of @names, which must outlive it, and listens nowhere yet; NULL: no memory. */
RelayWork *relay_work_new(const Names *names);
/* Closes all its sockets, too. */
void relay_work_free(RelayWork *work);
DEFINE_CLEANUP(RelayWork *, relay_work_free)

/* Gives up and repeats what is due at @now_usec, a time that never goes back. Returns when something is due next. */
uint64_t relay_work_clock(RelayWork *work, uint64_t now_usec);

/* Waits for at most @timeout_msec (negative: forever) until something has come, and passes it on. */
void relay_work_wait(RelayWork *work, int timeout_msec);
