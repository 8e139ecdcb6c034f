/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The part of `exec` that keeps root's rights: it calls stages of the driver for processes without rights, and cleans up
 * after each job, whatever became of who asked. It never reads the repository, and does nothing else that it is asked for. */

#include "local/broker.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/string.h"
#include "local/broker-job.h"

#define FDS_MAX 5U
#define CLIENTS_MAX 512U
/* How long after the client's end, when its stage gets SIGTERM, the stage gets SIGKILL. The driver itself limits how
 * long a step may take to end. */
#define KILL_TIMEOUT_USEC (30 * USEC_PER_SEC)

typedef struct Client {
        int fd; /* negative: it has gone, and its job is being cleaned up */
        BrokerJob job;
        bool cleaned; /* we called `cleanup` after it had gone */
        uint64_t kill_at_usec;
} Client;

typedef struct Broker {
        const BrokerSetup *setup;
        BrokerCalls calls;
        Client clients[CLIENTS_MAX];
        size_t n_clients;
        unsigned cancelled;
        bool first_ended;
} Broker;

typedef struct Message {
        BrokerRequest request;
        int fds[FDS_MAX];
        size_t n_fds;
        char *arguments[258]; /* in the request */
} Message;

static void message_done(Message *message) {
        for (size_t i = 0; i < message->n_fds; i++)
                close(message->fds[i]);
        message->n_fds = 0;
}

static bool take_arguments(Message *message, size_t size) {
        BrokerRequest *request = &message->request;
        size_t n = 0;

        if (size < offsetof(BrokerRequest, arguments) ||
            size != offsetof(BrokerRequest, arguments) + request->arguments_size || request->stage > BROKER_KEEP)
                return false;
        if (request->arguments_size > 0 && request->arguments[request->arguments_size - 1] != 0)
                return false;
        for (char *p = request->arguments; p < request->arguments + request->arguments_size; p += strlen(p) + 1) {
                if (n + 1 >= ELEMENTSOF(message->arguments))
                        return false;
                message->arguments[n++] = p;
        }
        message->arguments[n] = NULL;
        return true;
}

/* Receives a request, with descriptors for message_done() whatever it returns. 1; 0: the client is gone, sent nonsense, or
 * let another process take what poll() had found. */
static int receive(int fd, Message *message) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int) * FDS_MAX)];
        } control = { 0 };
        struct iovec part = { .iov_base = &message->request, .iov_len = sizeof(message->request) };
        struct msghdr header = {
                .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
        };

        message->n_fds = 0;
        ssize_t n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (n < 0)
                return 0;
        /* An empty message may have some, too. */
        bool fine = fds_take(&header, message->fds, FDS_MAX, &message->n_fds);
        return fine && n > 0 && !(header.msg_flags & MSG_TRUNC) && take_arguments(message, (size_t) n);
}

static void reply(int fd, uint32_t event, int status) {
        const BrokerReply reply = { .event = event, .status = status, .exit_code = -1 };

        if (fd >= 0)
                (void) send(fd, &reply, sizeof(reply), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The client is gone: ends its stage. Its job is cleaned up after that. */
static void leave(Client *client) {
        closep(&client->fd);
        client->kill_at_usec = clock_deadline(KILL_TIMEOUT_USEC);
        broker_job_signal(&client->job, SIGTERM);
}

/* Cleans up the job of a client that is gone. True when nothing is left to do. */
static bool clean_up(const Broker *broker, Client *client) {
        if (client->fd >= 0 || client->job.pidfd >= 0)
                return false;
        /* Only once: what this cleanup cannot do, the next command of the driver does. */
        if (client->job.started && !client->cleaned) {
                client->cleaned = true;
                client->kill_at_usec = USEC_INFINITY;
                if (broker_job_call(&client->job, &broker->calls, BROKER_CLEANUP, NULL, NULL, 0) >= 0)
                        return false;
        }
        broker_job_done(&client->job);
        return true;
}

/* Whoever sends us something else could make poll() wait for it. */
static bool is_connection(int fd) {
        struct stat st;

        return fstat(fd, &st) >= 0 && S_ISSOCK(st.st_mode);
}

static void take_client(Broker *broker, Message *message) {
        if (message->n_fds != 1 || !is_connection(message->fds[0]) || broker->n_clients == CLIENTS_MAX)
                return;
        broker->clients[broker->n_clients++] = (Client){ .fd = message->fds[0], .job = BROKER_JOB_NONE };
        message->n_fds = 0;
        if (broker->cancelled > 0)
                reply(message->fds[0], BROKER_CANCEL, (int) broker->cancelled);
}

static void serve_client(const Broker *broker, Client *client) {
        static Message message;
        int r = -EBADMSG;

        if (!receive(client->fd, &message)) {
                message_done(&message);
                leave(client);
                return;
        }
        switch (message.request.action) {
        case BROKER_OPEN:
                if (message.n_fds == 1)
                        r = broker_job_open(&client->job, broker->setup->runtime_dir, message.fds[0]);
                reply(client->fd, BROKER_DONE, r);
                break;
        case BROKER_CALL:
                if (message.n_fds == 4U + (message.request.stage == BROKER_RUN) &&
                    (message.arguments[0] ||
                     (message.request.stage != BROKER_RUN && message.request.stage != BROKER_STEP)))
                        r = broker_job_call(&client->job, &broker->calls, (BrokerStage) message.request.stage,
                                            message.arguments, message.fds,
                                            message.request.stage == BROKER_STEP ? message.request.file_bytes_max : 0);
                if (r < 0)
                        reply(client->fd, BROKER_DONE, r);
                break;
        case BROKER_SIGNAL:
                broker_job_signal(&client->job, SIGTERM);
                break;
        default:
                leave(client);
        }
        message_done(&message);
}

/* The first signal ends jobs as GitLab does; the second ends them at once; the third also kills the process that
 * should do that. */
static void take_signal(Broker *broker) {
        struct signalfd_siginfo info;

        if (read(broker->setup->signal_fd, &info, sizeof(info)) != sizeof(info))
                return;
        broker->cancelled++;
        if (broker->cancelled > 2) {
                (void) pidfd_signal(broker->setup->child_pidfd, SIGKILL);
                return;
        }
        reply(broker->setup->first_fd, BROKER_CANCEL, (int) broker->cancelled);
        for (size_t i = 0; i < broker->n_clients; i++)
                reply(broker->clients[i].fd, BROKER_CANCEL, (int) broker->cancelled);
}

static uint64_t next_kill(const Broker *broker) {
        uint64_t next = USEC_INFINITY;

        for (size_t i = 0; i < broker->n_clients; i++)
                if (broker->clients[i].fd < 0)
                        next = MIN(next, broker->clients[i].kill_at_usec);
        return next;
}

static void serve_clients(Broker *broker, const struct pollfd *polled) {
        size_t n = broker->n_clients, kept = 0;

        for (size_t i = 0; i < n; i++) {
                Client *client = broker->clients + i;
                BrokerReply ended;

                if (client->job.pidfd >= 0 && polled[2 * i + 1].revents) {
                        broker_job_reap(&client->job, &ended);
                        if (client->fd >= 0)
                                (void) send(client->fd, &ended, sizeof(ended), MSG_NOSIGNAL | MSG_DONTWAIT);
                }
                if (client->fd >= 0 && polled[2 * i].revents)
                        serve_client(broker, client);
                if (client->fd < 0 && client->job.pidfd >= 0 && clock_now_usec() >= client->kill_at_usec)
                        broker_job_signal(&client->job, SIGKILL);
        }
        for (size_t i = 0; i < n; i++)
                if (!clean_up(broker, broker->clients + i))
                        broker->clients[kept++] = broker->clients[i];
        broker->n_clients = kept;
}

int broker_run(const BrokerSetup *setup) {
        static Broker broker;
        static struct pollfd polled[3 + 2 * CLIENTS_MAX];
        static Message message;

        broker = (Broker){ .setup = setup, .calls = { .command = setup->command, .keep_usec = setup->keep_usec } };
        broker_jobs_collect(setup->runtime_dir, &broker.calls);
        while (!broker.first_ended || broker.n_clients > 0) {
                polled[0] = (struct pollfd){ .fd = setup->signal_fd, .events = POLLIN };
                polled[1] = (struct pollfd){ .fd = broker.first_ended ? -1 : setup->child_pidfd, .events = POLLIN };
                polled[2] = (struct pollfd){ .fd = broker.first_ended ? -1 : setup->first_fd, .events = POLLIN };
                for (size_t i = 0; i < broker.n_clients; i++) {
                        const Client *client = broker.clients + i;

                        polled[3 + 2 * i] = (struct pollfd){ .fd = client->fd, .events = POLLIN };
                        polled[4 + 2 * i] = (struct pollfd){ .fd = client->job.pidfd, .events = POLLIN };
                }
                if (poll(polled, 3 + 2 * broker.n_clients, clock_poll_timeout(next_kill(&broker))) < 0 &&
                    errno != EINTR)
                        return -errno;
                serve_clients(&broker, polled + 3);
                if (polled[0].revents)
                        take_signal(&broker);
                if (polled[1].revents)
                        broker.first_ended = true;
                else if (polled[2].revents && receive(setup->first_fd, &message) &&
                         message.request.action == BROKER_CLIENT)
                        take_client(&broker, &message);
                else if (polled[2].revents & (POLLHUP | POLLERR))
                        broker.first_ended = true;
                message_done(&message);
        }
        return broker.cancelled > 0;
}
