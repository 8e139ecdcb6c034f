/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "fuzz.h"
#include "network/relay-work.h"

#define CALLERS 8
#define ANSWERED_MAX 16
#define LOOPBACK_ADDRESS 0x7f000001

/* A relay between hostile containers and a hostile server, which do what the input says: each step is two bytes, what
 * happens and with what (which caller, or how many bytes). */
typedef struct Scene {
        RelayWork *work;
        Names names;
        int server_fds[2];     /* UDP, TCP */
        int callers[CALLERS];  /* connected to the relay with TCP */
        int accepted[CALLERS]; /* what the server has accepted; the oldest is replaced */
        unsigned next_accepted;
        int asker_fd; /* of UDP */
        struct sockaddr_in relay_udp, relay_tcp;
        uint64_t now_usec;
} Scene;

static int open_at(int type, struct sockaddr_in *ret) {
        socklen_t size = sizeof(*ret);
        int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        *ret = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(LOOPBACK_ADDRESS) };
        FUZZ_ASSERT(fd >= 0 && bind(fd, (struct sockaddr *) ret, sizeof(*ret)) == 0);
        FUZZ_ASSERT(type == SOCK_DGRAM || listen(fd, 64) == 0);
        FUZZ_ASSERT(getsockname(fd, (struct sockaddr *) ret, &size) == 0);
        return fd;
}

/* Two sockets with the same port, as a server has. */
static void open_server(Scene *scene) {
        struct sockaddr_in tcp, udp;

        for (;;) {
                scene->server_fds[1] = open_at(SOCK_STREAM, &tcp);
                scene->server_fds[0] = open_at(SOCK_DGRAM, &udp);
                close(scene->server_fds[0]);
                scene->server_fds[0] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                if (bind(scene->server_fds[0], (struct sockaddr *) &tcp, sizeof(tcp)) == 0)
                        break;
                close(scene->server_fds[0]);
                close(scene->server_fds[1]);
        }
        memcpy(scene->names.relayed, &tcp, sizeof(tcp));
        memcpy(scene->names.relayed + 1, &tcp, sizeof(tcp));
        scene->names.n_relayed = 2;
}

static void scene_open(Scene *scene) {
        *scene = (Scene){ .now_usec = USEC_PER_SEC };
        for (unsigned i = 0; i < CALLERS; i++)
                scene->callers[i] = scene->accepted[i] = -EBADF;
        open_server(scene);
        scene->work = relay_work_new(&scene->names);
        FUZZ_ASSERT(scene->work);
        scene->work->udp_fds[0] = open_at(SOCK_DGRAM, &scene->relay_udp);
        scene->work->tcp_fds[0] = open_at(SOCK_STREAM, &scene->relay_tcp);
        scene->asker_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        FUZZ_ASSERT(scene->asker_fd >= 0);
}

/* Leaves no port waiting behind. */
static void reset(int *fd) {
        struct linger linger = { .l_onoff = 1 };

        if (*fd < 0)
                return;
        (void) setsockopt(*fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        close(*fd);
        *fd = -EBADF;
}

static void scene_close(Scene *scene) {
        for (unsigned i = 0; i < CALLERS; i++) {
                reset(scene->callers + i);
                reset(scene->accepted + i);
        }
        relay_work_free(scene->work);
        closep(scene->server_fds);
        close(scene->server_fds[1]);
        close(scene->asker_fd);
}

/* --- what happens --- */

static const uint8_t noise[65536];

static size_t size_of(uint8_t n) {
        return n < 128 ? n : (size_t) (n - 127) * 511;
}

static void ask(Scene *scene, uint8_t n) {
        (void) sendto(scene->asker_fd, noise, size_of(n), MSG_DONTWAIT, (struct sockaddr *) &scene->relay_udp,
                      sizeof(scene->relay_udp));
}

/* Answers what waits there, each question @n % 4 times. */
static void answer(Scene *scene, uint8_t n) {
        struct sockaddr_in from;
        socklen_t size = sizeof(from);
        char buffer[64];

        for (unsigned i = 0; i < ANSWERED_MAX; i++) {
                if (recvfrom(scene->server_fds[0], buffer, sizeof(buffer), MSG_DONTWAIT, (struct sockaddr *) &from,
                             &size) < 0)
                        return;
                for (unsigned times = 0; times < n % 4; times++)
                        (void) sendto(scene->server_fds[0], noise, size_of(n), MSG_DONTWAIT, (struct sockaddr *) &from,
                                      size);
        }
}

static void call(Scene *scene, uint8_t n) {
        int *caller = scene->callers + n % CALLERS;

        reset(caller);
        *caller = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        FUZZ_ASSERT(*caller >= 0);
        (void) connect(*caller, (struct sockaddr *) &scene->relay_tcp, sizeof(scene->relay_tcp));
}

static void take(Scene *scene) {
        int fd;

        while ((fd = accept4(scene->server_fds[1], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
                int *place = scene->accepted + scene->next_accepted++ % CALLERS;

                reset(place);
                *place = fd;
        }
}

/* An end of a connection says something, reads, says no more, or is gone. */
static void act(int *fd, unsigned action, uint8_t n) {
        static char buffer[65536];

        if (*fd < 0)
                return;
        if (action == 0)
                (void) send(*fd, noise, n < 128 ? n : sizeof(noise), MSG_DONTWAIT | MSG_NOSIGNAL);
        else if (action == 1)
                (void) recv(*fd, buffer, n < 128 ? n : sizeof(buffer), MSG_DONTWAIT);
        else if (action == 2)
                (void) shutdown(*fd, SHUT_WR);
        else
                reset(fd);
}

static void step(Scene *scene, uint8_t what, uint8_t n) {
        switch (what % 16) {
        case 0:
        case 1:
                ask(scene, n);
                break;
        case 2:
        case 3:
                answer(scene, n);
                break;
        case 4:
                call(scene, n);
                break;
        case 5:
        case 6:
        case 7:
        case 8:
                act(scene->callers + n % CALLERS, what % 16 - 5, n);
                break;
        case 9:
        case 10:
        case 11:
        case 12:
                act(scene->accepted + n % CALLERS, what % 16 - 9, n);
                break;
        case 13:
                scene->now_usec += n * 100 * USEC_PER_MSEC;
                break;
        case 14:
                for (unsigned i = 0; i < n; i++)
                        ask(scene, n);
                break;
        default:
                closep(scene->server_fds);
                scene->server_fds[0] = -EBADF;
        }
}

/* --- what must be so --- */

/* No connection is held for longer than it may be. */
static void check_times(Scene *scene) {
        for (unsigned i = 0; i < RELAY_CONNECTIONS_MAX; i++) {
                const Connection *connection = scene->work->connections + i;

                FUZZ_ASSERT((connection->fds[0] < 0) == (connection->fds[1] < 0));
                FUZZ_ASSERT(connection->fds[0] < 0 ||
                            (connection->end_usec > scene->now_usec &&
                             connection->end_usec <= scene->now_usec + RELAY_CONNECTION_USEC));
        }
        for (unsigned i = 0; i < RELAY_QUESTIONS_MAX; i++) {
                const Question *question = scene->work->questions + i;

                FUZZ_ASSERT(!question->data ||
                            (question->fd >= 0 && question->asked_usec + RELAY_QUESTION_USEC > scene->now_usec));
        }
}

/* Nothing that stays as it is keeps the relay busy: after some rounds, it waits. */
static void check_rest(Scene *scene) {
        for (unsigned i = 0; i < 4096; i++) {
                struct pollfd *pollfds = scene->work->pollfds;
                bool busy = false;

                relay_work_wait(scene->work, 0);
                for (size_t p = 0; p < ELEMENTSOF(scene->work->pollfds); p++)
                        busy = busy || (pollfds[p].fd >= 0 && pollfds[p].revents);
                if (!busy)
                        return;
                take(scene);
        }
        FUZZ_ASSERT(!"the relay comes to rest");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        int first = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        Scene scene;

        close(first);
        if (size > 400)
                return 0;
        scene_open(&scene);
        for (size_t i = 0; i + 1 < size; i += 2) {
                step(&scene, data[i], data[i + 1]);
                FUZZ_ASSERT(relay_work_clock(scene.work, scene.now_usec) > scene.now_usec);
                relay_work_wait(scene.work, 0);
                take(&scene);
                check_times(&scene);
        }
        check_rest(&scene);
        scene_close(&scene);

        int next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        FUZZ_ASSERT(next == first);
        close(next);
        return 0;
}
