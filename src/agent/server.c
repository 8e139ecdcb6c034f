/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Serves the agent's socket: takes steps, tells the host how they end, and reaps orphans. main.c calls this, often as
 * PID 1. It must not die of an error and must not wait for any single client, whatever a job does to it. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "agent/agent.h"
#include "agent/init.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/string.h"

/* While a cancelled step ends, its processes are looked for this often; SIGCHLD tells only of our own children. */
#define CANCEL_POLL_USEC (20 * USEC_PER_MSEC)

#define REFUSE_TIMEOUT_MSEC 10000

/* A connection, its step, and, after both ended, what background processes still write. */
typedef struct Client {
        int socket_fd; /* negative when the host closed it */
        bool deaf;     /* the host could not be told that the step started */
        bool has_step;
        bool step_ended;
        Step step;
        struct Client *next;
} Client;

typedef struct Server {
        int listen_fd, signal_fd;
        int notice_fd; /* negative: nothing comes from there */
        Surroundings surroundings;
        HelperRoot helper;
        bool booted;
        bool stop;
        bool greeted;          /* somebody asked whether we are there */
        pid_t service_pid;     /* what this machine is for; 0: nothing, or it has ended */
        int service_status;    /* after its end: our own exit status */
        uint64_t service_usec; /* after its end: when we end, whether the host has asked or not */
        Client *clients;
        size_t n_clients;
} Server;

static void client_close_socket(Client *client) {
        closep(&client->socket_fd);
}

static void client_send(Client *client, WireType type, const void *payload, size_t size) {
        /* The messages are small and few: if the socket is full, nobody reads it. */
        if (client->socket_fd >= 0 && wire_send(client->socket_fd, type, payload, size, NULL, 0) < 0)
                client_close_socket(client);
}

static void client_announce(const StepStarted *started, void *userdata) {
        Client *client = userdata;

        /* This runs in the child, which cannot close the parent's descriptor: the parent does. */
        client->deaf = wire_send(client->socket_fd, WIRE_STARTED, &started->message, sizeof(started->message),
                                 started->fds, started->n_fds) < 0;
}

/* The last descriptor of an EXEC that has variables. */
static void keep_variables(Server *server, WireMessage *message) {
        closep(&server->surroundings.variables_fd);
        server->surroundings.variables_fd = TAKE_FD(message->fds[--message->n_fds]);
}

static int client_start_step(Server *server, Client *client, WireMessage *message, WireCause *reterr_cause) {
        _cleanup_(wire_exec_done) WireExec exec = { 0 };

        if (client->has_step)
                return -EBUSY;
        int r = wire_parse_exec(message, &exec);
        if (r < 0)
                return r;
        if (exec.has_variables)
                keep_variables(server, message);
        int script_fd = message->n_fds > 0 ? message->fds[0] : -EBADF;
        return step_start(&server->surroundings, &exec, script_fd, client_announce, client, &client->step,
                          reterr_cause);
}

static void client_exec(Server *server, Client *client, WireMessage *message) {
        WireCause cause = WIRE_CAUSE_AGENT;

        int r = client_start_step(server, client, message, &cause);
        if (r < 0) {
                WireFailed failed = { .cause = cause, .error = -r };
                client_send(client, WIRE_FAILED, &failed, sizeof(failed));
                return;
        }
        client->has_step = true;
        if (client->deaf)
                client_close_socket(client);
}

/* The step is over: tell the host, as long as it listens. */
static void client_step_ended(Client *client) {
        client->step_ended = true;
        client_send(client, WIRE_EXITED, &client->step.exited, sizeof(client->step.exited));
        if (client->step.script_path[0]) {
                (void) unlink(client->step.script_path);
                client->step.script_path[0] = 0;
        }
}

static void client_receive(Server *server, Client *client) {
        static WireMessage message; /* on the stack, the compiler would touch all its pages */

        int r = wire_receive(client->socket_fd, &message);
        if (r == -EAGAIN)
                return;
        if (r <= 0) {
                client_close_socket(client);
        } else {
                if (message.type == WIRE_PING) {
                        client_send(client, WIRE_PONG, NULL, 0);
                        server->greeted = true;
                } else if (message.type == WIRE_EXEC)
                        client_exec(server, client, &message);
                else if (message.type == WIRE_KILL && client->has_step && !client->step_ended)
                        step_cancel(&server->surroundings, &client->step);
                wire_message_done(&message);
        }

        /* The host's `run` is gone before its step: killed, or given up. */
        if (client->socket_fd < 0 && client->has_step && !client->step_ended)
                step_cancel(&server->surroundings, &client->step);
}

/* Throws away output that nobody reads any more. Only after the host closed its connection: until then the output
 * belongs to the host. */
static void client_drain(int *fd) {
        static char nowhere[65536];

        (void) fd_set_nonblock(*fd, true);
        for (unsigned i = 0; i < 16; i++) { /* others want their turn */
                ssize_t n = read(*fd, nowhere, sizeof(nowhere));

                if (n > 0 || (n < 0 && errno == EINTR))
                        continue;
                if (n == 0 || errno != EAGAIN)
                        closep(fd);
                return;
        }
}

static bool client_is_over(const Client *client) {
        if (client->socket_fd >= 0)
                return false;
        if (!client->has_step)
                return true;
        return client->step_ended && client->step.output_fds[0] < 0 && client->step.output_fds[1] < 0;
}

static void client_free(Client *client) {
        if (client->has_step)
                step_done(&client->step);
        client_close_socket(client);
        free(client);
}

static void server_remove_finished(Server *server) {
        for (Client **p = &server->clients; *p;) {
                Client *client = *p;

                if (!client_is_over(client)) {
                        p = &client->next;
                        continue;
                }
                *p = client->next;
                server->n_clients--;
                client_free(client);
        }
}

static void server_accept(Server *server) {
        int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
                return;

        Client *client = malloc(sizeof(Client));
        if (!client) {
                close(fd);
                return;
        }
        *client = (Client){ .socket_fd = fd, .step = { .output_fds = { -EBADF, -EBADF } }, .next = server->clients };
        server->clients = client;
        server->n_clients++;
        client_receive(server, client); /* the host sends at once: saves a turn */
}

/* Is the container shutting down? Its systemd has then become the program that ends all other processes. */
static bool is_shutdown(const Surroundings *surroundings) {
        char name[sizeof("systemd-shutdow")] = "";

        _cleanup_close_ int fd = surroundings_open_proc(surroundings, "1/comm", O_RDONLY);
        return fd >= 0 && read(fd, name, sizeof(name) - 1) > 0 && streq(name, "systemd-shutdow");
}

/* All children that ended: shells of steps, and, as PID 1, orphans of the container. */
static void server_reap(Server *server) {
        for (;;) {
                siginfo_t info = { 0 };

                if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
                        return;
                if (info.si_pid == server->service_pid) {
                        server->service_pid = 0;
                        server->service_status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
                        server->service_usec = clock_deadline(REFUSE_TIMEOUT_MSEC * USEC_PER_MSEC);
                }
                for (Client *client = server->clients; client; client = client->next) {
                        Step *step = &client->step;

                        if (!client->has_step || step->shell_ended || step->pid != info.si_pid)
                                continue;
                        /* This is the end of the container and not of the script, which was killed. The host learns
                         * that the container ended. */
                        if (info.si_status != 0 && server->booted && is_shutdown(&server->surroundings)) {
                                server->stop = true;
                                return;
                        }
                        step->shell_ended = true;
                        step->exited = (WireExited){ .code = info.si_code, .status = info.si_status };
                        if (step->state == STEP_RUNNING)
                                client_step_ended(client);
                }
        }
}

static void server_signals(Server *server) {
        struct signalfd_siginfo info;

        while (read(server->signal_fd, &info, sizeof(info)) == sizeof(info)) {
                if (info.ssi_signo == SIGCHLD)
                        continue;
                /* A job may send SIGTERM to every process, as pkill does. PID 1 is not affected, so we are not
                 * either. */
                if (!server->booted || is_shutdown(&server->surroundings))
                        server->stop = true;
        }
        server_reap(server);
}

static uint64_t server_cancel_progress(Server *server) {
        uint64_t deadline = USEC_INFINITY;

        for (Client *client = server->clients; client; client = client->next) {
                if (!client->has_step || client->step_ended || client->step.state == STEP_RUNNING)
                        continue;
                if (step_cancel_progress(&server->surroundings, &client->step))
                        client_step_ended(client);
                else
                        deadline = clock_deadline(CANCEL_POLL_USEC);
        }
        return deadline;
}

/* Something in the container needed the image's systemd, which does not start: tells whoever runs a step now. */
static void server_notice(Server *server) {
        WireNotice notice;
        int r;

        while ((r = notice_receive(server->notice_fd, &notice)) > 0)
                for (Client *client = server->clients; client; client = client->next)
                        if (client->has_step && !client->step_ended)
                                client_send(client, WIRE_NOTICE, &notice, sizeof(notice));
        if (r < 0)
                closep(&server->notice_fd);
}

/* Waits for something to happen and does it. */
static void server_turn(Server *server) {
        uint64_t deadline = MIN(server_cancel_progress(server), server->service_usec);
        size_t n = 3;

        server_remove_finished(server);
        struct pollfd *pollfds = calloc(3 + 3 * server->n_clients, sizeof(struct pollfd));
        if (!pollfds) { /* nothing that PID 1 could do about it but try again */
                clock_sleep_usec(100 * USEC_PER_MSEC);
                return;
        }

        pollfds[0] = (struct pollfd){ .fd = server->signal_fd, .events = POLLIN };
        pollfds[1] = (struct pollfd){ .fd = server->listen_fd, .events = POLLIN };
        pollfds[2] = (struct pollfd){ .fd = server->notice_fd, .events = POLLIN };
        for (Client *client = server->clients; client; client = client->next, n += 3) {
                bool drain = client->socket_fd < 0 && client->has_step;

                pollfds[n] = (struct pollfd){ .fd = client->socket_fd, .events = POLLIN };
                for (size_t i = 0; i < 2; i++)
                        pollfds[n + 1 + i] = (struct pollfd){ .fd = drain ? client->step.output_fds[i] : -EBADF,
                                                              .events = POLLIN };
        }

        if (poll(pollfds, n, clock_poll_timeout(deadline)) > 0) {
                n = 3;
                if (pollfds[2].revents) /* before the end of a step that may be the reason */
                        server_notice(server);
                for (Client *client = server->clients; client; client = client->next, n += 3) {
                        if (pollfds[n].revents)
                                client_receive(server, client);
                        for (size_t i = 0; i < 2; i++)
                                if (pollfds[n + 1 + i].revents)
                                        client_drain(&client->step.output_fds[i]);
                }
                if (pollfds[0].revents)
                        server_signals(server);
                if (pollfds[1].revents)
                        server_accept(server);
        }
        free(pollfds);
}

static bool wait_readable(int fd) {
        struct pollfd pollfd = { .fd = fd, .events = POLLIN };

        return poll(&pollfd, 1, REFUSE_TIMEOUT_MSEC) > 0;
}

void server_refuse(int listen_fd, int error) {
        WireFailed failed = { .cause = WIRE_CAUSE_SHELL, .error = -error };
        WireMessage message;

        if (!wait_readable(listen_fd))
                return;
        _cleanup_close_ int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 || !wait_readable(fd) || wire_receive(fd, &message) <= 0)
                return;
        wire_message_done(&message);
        (void) wire_send(fd, WIRE_FAILED, &failed, sizeof(failed), NULL, 0);
}

static bool server_is_over(const Server *server) {
        if (server->stop)
                return true;
        return server->service_usec != USEC_INFINITY && (server->greeted || clock_now_usec() >= server->service_usec);
}

int server_run(int listen_fd, const ServerSetup *setup) {
        Server server = {
                .listen_fd = listen_fd,
                .notice_fd = setup->notice_fd,
                .booted = setup->booted,
                .service_usec = USEC_INFINITY,
        };
        sigset_t mask;

        /* Resets all signals. Steps get the defaults, too, except for SIGPIPE, which step_start() resets. */
        for (int i = 1; i < NSIG; i++)
                (void) signal(i, i == SIGPIPE ? SIG_IGN : SIG_DFL);
        sigemptyset(&mask);
        sigaddset(&mask, SIGCHLD);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGRTMIN + 3); /* systemd(1): what nspawn and machined send to power an init off */
        sigaddset(&mask, SIGRTMIN + 4);
        server.signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
        if (server.signal_fd < 0)
                return EXIT_FAILURE;
        /* All other signals are blocked, so they cannot end us. */
        sigfillset(&mask);
        sigprocmask(SIG_SETMASK, &mask, NULL);

        if (setup->surroundings)
                server.surroundings = *setup->surroundings;
        else
                surroundings_open(&server.surroundings);
        server.helper.namespace_fd = -EBADF;
        server.surroundings.helper = &server.helper;
        if (setup->service_fd >= 0) {
                int r = service_start(&server.surroundings, setup->service_fd, &server.service_pid);
                if (r < 0) {
                        server_refuse(listen_fd, r);
                        return EXIT_FAILURE;
                }
        }
        server_reap(&server); /* what ended before we listened */
        while (!server_is_over(&server))
                server_turn(&server);

        while (server.clients) {
                Client *client = server.clients;

                server.clients = client->next;
                client_free(client);
        }
        closep(&server.signal_fd);
        root_forget_helper(&server.helper);
        closep(&server.notice_fd);
        if (!setup->surroundings)
                surroundings_done(&server.surroundings);
        return server.service_status;
}
