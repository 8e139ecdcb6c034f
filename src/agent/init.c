/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The container's PID 1 until somebody asks for systemd: reaps orphans, keeps the agent alive, and executes the image's
 * systemd as itself on the first use of one of its sockets. main.c calls this. Steps are children of the agent, so they
 * go on through that. It must not wait for anything that a job has put in its way, and must not end: the container
 * would. */

#include "agent/init.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/string.h"

/* How long after its last start a killed agent is started again: a job that kills it in a loop must not keep a
 * processor busy. */
#define AGENT_PAUSE_USEC (100 * USEC_PER_MSEC)

/* How long the image's systemd may take to say its version. */
#define TRIAL_TIMEOUT_USEC (10 * USEC_PER_SEC)

/* Our own descriptors have this number or a higher one. Lower ones are free for what systemd takes over. */
#define HIGH_FD 64

typedef struct Init {
        const char *program;
        int listen_fd, signal_fd;
        int notice_fds[2];
        InitSockets sockets;
        Surroundings surroundings;
        pid_t agent_pid; /* 0: it is dead */
        uint64_t agent_since_usec, agent_again_usec;
        pid_t trial_pid; /* 0: nobody asked for systemd */
        int trial_fd;    /* from here comes the errno if it could not be executed */
        uint64_t trial_deadline_usec;
        bool trial_late;
} Init;

static void default_signals(void) {
        for (int i = 1; i < NSIG; i++)
                (void) signal(i, SIG_DFL);
}

static void block_signals(bool block) {
        sigset_t mask;

        if (block)
                sigfillset(&mask);
        else
                sigemptyset(&mask);
        (void) sigprocmask(SIG_SETMASK, &mask, NULL);
}

/* In a child: closes what only PID 1 may have open. */
static void close_own(Init *init) {
        init_sockets_done(&init->sockets);
        closep(&init->signal_fd);
        closep(&init->notice_fds[1]);
}

static int raise_fd(int *fd) {
        int high = *fd < 0 ? *fd : fcntl(*fd, F_DUPFD_CLOEXEC, HIGH_FD);

        if (*fd < 0)
                return 0;
        if (high < 0)
                return -errno;
        close(*fd);
        *fd = high;
        return 0;
}

static int raise_all(Init *init) {
        int *const fds[] = { &init->signal_fd,          &init->notice_fds[0],        &init->notice_fds[1],
                             &init->sockets.private_fd, &init->surroundings.proc_fd, &init->surroundings.null_fd };

        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                int r = raise_fd(fds[i]);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < init->sockets.n_passed; i++) {
                int r = raise_fd(&init->sockets.passed[i].fd);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void start_agent(Init *init) {
        pid_t pid = fork();

        init->agent_since_usec = clock_now_usec();
        init->agent_again_usec = init->agent_since_usec + AGENT_PAUSE_USEC;
        if (pid == 0) {
                (void) prctl(PR_SET_NAME, AGENT_COMM);
                close_own(init);
                const ServerSetup setup = { .booted = true,
                                            .notice_fd = init->notice_fds[0],
                                            .surroundings = &init->surroundings,
                                            .service_fd = -EBADF };
                _exit(server_run(init->listen_fd, &setup));
        }
        init->agent_pid = MAX(pid, 0);
}

/* /dev/null to be written to, or a file in memory where a job has put something else. A descriptor or -errno. */
static int open_sink(void) {
        struct stat st;

        _cleanup_close_ int fd = open("/dev/null", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd >= 0 && fstat(fd, &st) >= 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
                return TAKE_FD(fd);
        int sink_fd = memfd_create("sink", MFD_CLOEXEC);
        return sink_fd < 0 ? -errno : sink_fd;
}

static void refuse(Init *init, WireNoticeKind kind, int detail) {
        notice_send(init->notice_fds[1], kind, detail);
        init_sockets_refuse(&init->sockets);
}

/* Tries systemd as a child first: one that cannot even say its version would end the container if it became PID 1. */
static void start_trial(Init *init) {
        int error[2] = { -EBADF, -EBADF };

        pid_t pid = pipe2(error, O_CLOEXEC | O_NONBLOCK) < 0 ? -1 : fork();
        if (pid == 0) {
                int sink_fd = open_sink();

                (void) dup2(init->surroundings.null_fd, STDIN_FILENO);
                (void) dup2(sink_fd, STDOUT_FILENO);
                (void) dup2(sink_fd, STDERR_FILENO);
                block_signals(false);
                execv(init->program, ARGV(init->program, "--version"));
                (void) write(error[1], &errno, sizeof(errno));
                _exit(EXIT_FAILURE);
        }
        if (pid < 0) {
                int r = errno;

                closep(&error[0]);
                closep(&error[1]);
                refuse(init, WIRE_NOTICE_NOT_EXECUTED, r);
                return;
        }
        closep(&error[1]);
        init->trial_fd = error[0];
        init->trial_pid = pid;
        init->trial_late = false;
        init->trial_deadline_usec = clock_deadline(TRIAL_TIMEOUT_USEC);
}

/* Puts what systemd takes over where it looks for it, sd_listen_fds(3); the agent's socket is there already. */
static int place_descriptors(const Init *init) {
        for (size_t i = 0; i < init->sockets.n_passed; i++)
                if (dup2(init->sockets.passed[i].fd, LISTEN_FDS_START + 1 + (int) i) < 0)
                        return -errno;
        return fd_set_cloexec(init->listen_fd, false);
}

static void take_descriptors_back(const Init *init) {
        (void) fd_set_cloexec(init->listen_fd, true);
        for (size_t i = 0; i < init->sockets.n_passed; i++)
                close(LISTEN_FDS_START + 1 + (int) i);
}

/* Returns only on failure, with -errno. */
static int execute(const Init *init) {
        char count[16];

        snprintf(count, sizeof(count), "%zu", 1 + init->sockets.n_passed);
        if (setenv("LISTEN_FDS", count, true) < 0 || setenv("LANG", init->surroundings.lang, true) < 0)
                return -ENOMEM;
        int r = place_descriptors(init);
        if (r < 0) {
                take_descriptors_back(init);
                return r;
        }
        block_signals(false);
        execv(init->program, ARGV(init->program, "--unit=" UNITS_TARGET));
        r = -errno;
        block_signals(true);
        take_descriptors_back(init);
        return r;
}

static int start_relay(Init *init, int ret_go[static 2]) {
        if (pipe2(ret_go, O_CLOEXEC) < 0)
                return -errno;
        pid_t pid = fork();
        if (pid == 0) {
                (void) prctl(PR_SET_NAME, RELAY_COMM);
                closep(&ret_go[1]);
                closep(&init->listen_fd);
                closep(&init->signal_fd);
                closep(&init->notice_fds[0]);
                for (size_t i = 0; i < init->sockets.n_passed; i++)
                        closep(&init->sockets.passed[i].fd);
                block_signals(false);
                relay_run(&init->sockets, &init->surroundings, ret_go[0], init->notice_fds[1]);
                _exit(EXIT_SUCCESS);
        }
        int r = pid < 0 ? -errno : raise_fd(&ret_go[1]);
        closep(&ret_go[0]);
        if (r < 0)
                closep(&ret_go[1]);
        return r;
}

/* Becomes systemd. Returns only on failure, with -errno and everything as it was. */
static int become_systemd(Init *init) {
        int go[2];

        int r = units_write(init->listen_fd, NULL, init->agent_pid,
                            standby_start_time(&init->surroundings, init->agent_pid));
        if (r < 0)
                return r;
        r = start_relay(init, go);
        if (r < 0)
                return r;
        /* Before systemd moves the processes that it finds beside itself. */
        group_gather();
        r = execute(init);
        (void) write(go[1], "", 1);
        closep(&go[1]);
        return r;
}

static void boot(Init *init) {
        refuse(init, WIRE_NOTICE_NOT_EXECUTED, -become_systemd(init));
}

static void trial_ended(Init *init, const siginfo_t *info) {
        int error = 0;

        init->trial_pid = 0;
        (void) read(init->trial_fd, &error, sizeof(error));
        closep(&init->trial_fd);
        if (error != 0)
                refuse(init, WIRE_NOTICE_NOT_EXECUTED, error);
        else if (init->trial_late)
                refuse(init, WIRE_NOTICE_HANGS, 0);
        else if (info->si_code != CLD_EXITED)
                refuse(init, WIRE_NOTICE_KILLED, info->si_status);
        else if (info->si_status != 0)
                refuse(init, WIRE_NOTICE_FAILED, info->si_status);
        else
                boot(init);
}

static void reap(Init *init) {
        for (;;) {
                siginfo_t info = { 0 };

                if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
                        return;
                if (info.si_pid == init->agent_pid)
                        init->agent_pid = 0;
                if (info.si_pid == init->trial_pid)
                        trial_ended(init, &info);
        }
}

static void reboot_container(int how) {
        (void) reboot(how);
        _exit(EXIT_SUCCESS); /* an interactive container cannot reboot: end it */
}

/* The signals that systemd(1) lists under "Signals", except those that reload or re-execute it. */
static void handle_signals(Init *init) {
        struct signalfd_siginfo info;

        while (read(init->signal_fd, &info, sizeof(info)) == sizeof(info)) {
                int number = (int) info.ssi_signo;

                if (number == SIGRTMIN + 3 || number == SIGRTMIN + 4 || number == SIGRTMIN + 13 ||
                    number == SIGRTMIN + 14)
                        reboot_container(RB_POWER_OFF);
                if (number == SIGINT || number == SIGRTMIN + 5 || number == SIGRTMIN + 15)
                        reboot_container(RB_AUTOBOOT);
        }
        reap(init);
}

static int open_signals(void) {
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, SIGCHLD);
        sigaddset(&mask, SIGINT);
        for (int i = 3; i <= 15; i++)
                sigaddset(&mask, SIGRTMIN + i);
        int fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
        return fd < 0 ? -errno : fd;
}

/* Waits for something to happen and does it. */
static void turn(Init *init) {
        struct pollfd pollfds[2 + INIT_SOCKETS_MAX];
        uint64_t deadline = USEC_INFINITY;
        nfds_t n = 0;
        bool asked = false;

        if (init->agent_pid == 0 && clock_now_usec() >= init->agent_again_usec)
                start_agent(init);
        if (init->agent_pid == 0)
                deadline = init->agent_again_usec;
        pollfds[n++] = (struct pollfd){ .fd = init->signal_fd, .events = POLLIN };
        if (init->trial_pid == 0) {
                pollfds[n++] = (struct pollfd){ .fd = init->sockets.private_fd, .events = POLLIN };
                for (size_t i = 0; i < init->sockets.n_passed; i++)
                        pollfds[n++] = (struct pollfd){ .fd = init->sockets.passed[i].fd, .events = POLLIN };
        } else if (!init->trial_late)
                deadline = MIN(deadline, init->trial_deadline_usec);
        if (poll(pollfds, n, clock_poll_timeout(deadline)) < 0)
                return;
        for (nfds_t i = 1; i < n; i++)
                asked |= pollfds[i].revents != 0;
        if (asked)
                start_trial(init);
        else if (init->trial_pid > 0 && !init->trial_late && clock_now_usec() >= init->trial_deadline_usec) {
                init->trial_late = true;
                (void) kill(init->trial_pid, SIGKILL);
        }
        if (pollfds[0].revents)
                handle_signals(init);
}

int init_run(int listen_fd, const char *program) {
        Init init = { .program = program, .listen_fd = listen_fd };

        default_signals();
        block_signals(true);
        /* The name by which programs and maintainer scripts recognize systemd. */
        (void) prctl(PR_SET_NAME, "systemd");
        int r = notice_pipe(init.notice_fds);
        if (r < 0)
                return r;
        init.signal_fd = open_signals();
        if (init.signal_fd < 0)
                return init.signal_fd;
        surroundings_open(&init.surroundings);
        init_sockets_open(&init.sockets);
        r = raise_all(&init);
        if (r < 0)
                return r;
        for (;;)
                turn(&init);
}
