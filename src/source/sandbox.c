/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Runs a program that makes or unpacks a tree, so that none of its processes survives its end, a cancellation or our
 * death. Called for sources, for ansible, and for what takes images elsewhere. A program that works on untrusted data
 * must come with a Confinement; without one it may do everything that we may. */

#include "source/sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/lines.h"
#include "base/process.h"

/* A shell's exit statuses for a program that it cannot start, or cannot find. */
#define EXIT_CANNOT_START 126
#define EXIT_NOT_FOUND 127

#define TICK_MSEC 1000
/* How often on_check is called. In this time, a program can write some hundred megabytes to a fast disk. */
#define CHECK_MSEC 200
/* For each time that a look takes, so many without one. */
#define CHECK_SHARE 3

static bool reader_is_gone(int output_fd) {
        struct pollfd pollfd = { .fd = output_fd };

        return poll(&pollfd, 1, 0) > 0 && (pollfd.revents & POLLERR);
}

/* Sets up the file system as the program may see it. 0 or -errno. */
static int prepare_mounts(const Sandbox *sandbox) {
        if (sandbox->confinement) {
                int r = confine(sandbox->confinement, sandbox->argv[0]);
                if (r < 0)
                        return r;
        } else if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
                   mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
                /* MS_SLAVE: what the host unmounts is unmounted here, too, and does not stay busy. */
                return -errno;
        return sandbox->directory && chdir(sandbox->directory) < 0 ? -errno : 0;
}

/* Runs as the first process of the namespaces. Returns the exit status. */
static int first_process(const Sandbox *sandbox, int output_fd) {
        Spawn spawn = { .argv = sandbox->argv,
                        .envp = sandbox->envp,
                        .stdin_fd = -EBADF,
                        .stdout_fd = output_fd,
                        .stderr_fd = output_fd };
        pid_t pid;

        /* getppid() is always 0 here. If the parent died before prctl(), its end of the pipe is closed. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || reader_is_gone(output_fd))
                return EXIT_CANNOT_START;

        /* Only the parent gets the terminal's signals. */
        (void) setsid();
        (void) umask(0022);

        int r = prepare_mounts(sandbox);
        if (r < 0) {
                dprintf(output_fd, "Cannot make a mount namespace for %s: %s\n", sandbox->argv[0], strerror(-r));
                return EXIT_CANNOT_START;
        }

        r = process_spawn(&spawn, &pid, NULL);
        if (r < 0) {
                dprintf(output_fd, "Cannot start %s: %s\n", sandbox->argv[0], strerror(-r));
                return r == -ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_START;
        }

        for (;;) {
                int status;
                pid_t ended = waitpid(-1, &status, 0);

                if (ended == pid)
                        return process_exit_status(status);
                if (ended < 0 && errno != EINTR)
                        return EXIT_CANNOT_START;
        }
}

static int check(const Sandbox *sandbox) {
        return sandbox->on_check ? sandbox->on_check(sandbox->check_userdata) : 0;
}

/* When to look next: looking may take long, as it does for a large tree, and must leave time for the program. */
static uint64_t next_check(uint64_t begin_usec) {
        uint64_t now_usec = clock_now_usec();

        return now_usec + MAX(CHECK_MSEC * USEC_PER_MSEC, CHECK_SHARE * (now_usec - begin_usec));
}

/* Reads until end of file, which comes when the last process has ended. Returns 0, -ECANCELED, what on_check returned,
 * or another -errno. */
static int read_output(const Sandbox *sandbox, int fd) {
        const Listener *listener = sandbox->listener;
        Lines lines = { .on_line = listener->on_line, .userdata = listener->userdata };
        uint64_t check_usec = sandbox->on_check ? 0 : USEC_INFINITY;

        for (;;) {
                struct pollfd pollfds[] = { { .fd = fd, .events = POLLIN },
                                            { .fd = listener->cancel_fd, .events = POLLIN } };
                char data[4096];

                /* However often the program writes something. */
                uint64_t now_usec = clock_now_usec();
                if (now_usec >= check_usec) {
                        int r = check(sandbox);
                        if (r < 0)
                                return r;
                        check_usec = next_check(now_usec);
                }
                uint64_t tick_usec = listener->on_tick ? now_usec + TICK_MSEC * USEC_PER_MSEC : USEC_INFINITY;
                int n = poll(pollfds, ELEMENTSOF(pollfds), clock_poll_timeout(MIN(check_usec, tick_usec)));
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (pollfds[1].revents && n > 0)
                        return -ECANCELED;
                if (n > 0 && pollfds[0].revents) {
                        ssize_t size = read(fd, data, sizeof(data));
                        if (size < 0 && errno != EINTR)
                                return -errno;
                        if (size == 0)
                                break;
                        if (size > 0)
                                lines_feed(&lines, data, (size_t) size);
                }
                listener_tick(listener);
        }
        lines_end(&lines);
        return check(sandbox);
}

int sandbox_run(const Sandbox *sandbox) {
        int fds[2], status;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;

        unsigned long flags = CLONE_NEWNS | CLONE_NEWPID | SIGCHLD;
        if (sandbox->confinement)
                flags |= CLONE_NEWIPC | CLONE_NEWUTS | (sandbox->confinement->online ? 0 : CLONE_NEWNET);
        pid_t pid = (pid_t) syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
        if (pid == 0) {
                close(fds[0]);
                _exit(first_process(sandbox, fds[1]));
        }
        _cleanup_close_ int output_fd = fds[0];
        int r = -errno;
        close(fds[1]);
        if (pid < 0)
                return r;
        r = read_output(sandbox, output_fd);
        if (r < 0)
                (void) kill(pid, SIGKILL);
        /* The first process is gone only after all others in its PID namespace are. */
        int q = process_wait(pid, &status);
        if (r < 0)
                return r;
        return q < 0 ? q : process_exit_status(status);
}
