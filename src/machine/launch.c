/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Starts systemd-nspawn and has it wait until the root of its container is complete. `supervise` calls this. To load
 * systemd-nspawn takes as long as mounting a root, so both happen at the same time. The waiting is done by our library
 * (preload/gate.c), or else before the program is executed: it must never see a root that is not complete. */

#include "machine/launch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/process.h"
#include "base/string.h"
#include "container/nspawn.h"
#include "machine/root.h"
#include "preload/gate.h"

void launch_done(Launch *launch) {
        closep(&launch->console_fd);
        closep(&launch->go_fd);
        *launch = LAUNCH_NONE;
}

/* The container's output goes into a pipe. Programs in it may open /dev/stdout or /dev/stderr, as services often do,
 * so their users need access. The pipe has no name: nobody else can open it. */
static int share_console(const LaunchRequest *request, int console_fd) {
        if (!request->machine->command)
                return 0;
        if (request->machine->settings.private_users && fchown(console_fd, request->uid_base, request->uid_base) < 0)
                return -errno;
        return fchmod(console_fd, 0622) < 0 ? -errno : 0;
}

/* In the child: the descriptors that systemd-nspawn has, those that it passes on, and last @gate_fd (negative: none), which
 * it does not. *ret_gate is its number. */
static int place_descriptors(const LaunchRequest *request, int console_fd, int gate_fd, int *ret_gate) {
        int fds[4 + ELEMENTSOF(request->passed_fds)] = { open("/dev/null", O_RDONLY | O_CLOEXEC), console_fd,
                                                         console_fd };
        size_t n = 3;

        if (fds[0] < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(request->passed_fds); i++)
                if (request->passed_fds[i] >= 0)
                        fds[n++] = request->passed_fds[i];
        *ret_gate = (int) n;
        if (gate_fd >= 0)
                fds[n++] = gate_fd;
        /* First moves all of them to high numbers: a target number may be in use by a descriptor that is needed
         * itself. */
        for (size_t i = 0; i < n; i++) {
                fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 12);
                if (fds[i] < 0)
                        return -errno;
        }
        for (size_t i = 0; i < n; i++)
                if (dup2(fds[i], (int) i) < 0)
                        return -errno;
        return 0;
}

/* In the child, without our library: waits as that does. */
static int wait_here(int gate_fd, char ***environment) {
        char answer = 0;
        ssize_t n;

        while ((n = read(gate_fd, &answer, 1)) < 0 && errno == EINTR)
                ;
        if (n <= 0)
                return n < 0 ? -errno : -ECANCELED;
        return answer == GATE_UNIFIED ? strv_extend(environment, GATE_UNIFIED_VARIABLE "=1") : 0;
}

/* In the child: becomes systemd-nspawn. Returns only with -errno. */
static int become_nspawn(const LaunchRequest *request, char **arguments, char **environment, int console_fd,
                         int gate_fd, pid_t parent) {
        bool preloaded = nspawn_is_preloaded(request->machine);
        sigset_t none;
        int number = -EBADF;

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return -errno;
        if (getppid() != parent)
                return -ESRCH;
        /* Beside our own group, not in it: systemd-nspawn makes its groups below the one that it starts in. */
        int r = cgroup_enter_subgroup(request->groups, CGROUP_CONTAINER, true);
        if (r < 0)
                return r;
        r = preloaded ? 0 : wait_here(gate_fd, &environment);
        if (r < 0)
                return r;
        r = place_descriptors(request, console_fd, preloaded ? gate_fd : -EBADF, &number);
        if (r < 0)
                return r;
        r = strv_extendf(&environment, "LISTEN_PID=%d", (int) getpid());
        if (r < 0)
                return r;
        r = preloaded ? strv_extendf(&environment, GATE_VARIABLE "=%d", number) : 0;
        if (r < 0)
                return r;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        /* Searches a fixed PATH: the runner's PATH may have something else first. */
        setenv("PATH", SEARCH_PATH, true);
        execvpe(arguments[0], arguments, environment);
        return -errno;
}

static int open_group(const LaunchRequest *request) {
        int fd = cgroup_open_subgroup(request->groups, CGROUP_CONTAINER);
        return fd == -ENOENT ? -EBADF : fd;
}

/* Starts the child, which uses ends 1 of @console and @gate. */
static int start(const LaunchRequest *request, const int console[2], const int gate[2], pid_t *ret) {
        _cleanup_strv_ char **arguments = NULL, **environment = NULL;
        _cleanup_free_ char *root = NULL;
        pid_t parent = getpid();
        int error;

        int r = machine_root_path(request->machine, &root);
        if (r < 0)
                return r;
        r = nspawn_arguments(request->machine, root, request->uid_base, &arguments);
        if (r < 0)
                return r;
        r = nspawn_environment(request->machine, request->uid_base, &environment);
        if (r < 0)
                return r;
        _cleanup_close_ int group_fd = open_group(request);
        if (group_fd < 0 && group_fd != -EBADF)
                return group_fd;
        pid_t pid = process_fork_into(group_fd, &error);
        if (pid < 0)
                return -errno;
        if (pid == 0) {
                close(gate[0]); /* or the child would wait for itself */
                if (error == 0)
                        error = become_nspawn(request, arguments, TAKE_PTR(environment), console[1], gate[1], parent);
                if (error != -ECANCELED)
                        dprintf(console[1], "Cannot start systemd-nspawn: %s\n", strerror(-error));
                _exit(127);
        }
        *ret = pid;
        return 0;
}

int launch_begin(const LaunchRequest *request, Launch *ret) {
        int console[2], gate[2];
        pid_t pid = 0;

        if (pipe2(console, O_CLOEXEC) < 0)
                return -errno;
        _cleanup_close_ int console_fd = console[0];
        _cleanup_close_ int console_end = console[1];
        int r = share_console(request, console_end);
        if (r < 0)
                return r;
        r = fd_set_nonblock(console_fd, true);
        if (r < 0)
                return r;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, gate) < 0)
                return -errno;
        _cleanup_close_ int go_fd = gate[0];
        _cleanup_close_ _unused_ int gate_end = gate[1];
        r = start(request, console, gate, &pid);
        if (r < 0)
                return r;
        *ret = (Launch){ .pid = pid, .console_fd = TAKE_FD(console_fd), .go_fd = TAKE_FD(go_fd) };
        return 0;
}

int launch_go(Launch *launch, bool unified) {
        const char answer = unified ? GATE_UNIFIED : GATE_GO;

        ssize_t n = send(launch->go_fd, &answer, 1, MSG_NOSIGNAL);
        if (n < 0 && errno != EPIPE && errno != ECONNRESET)
                return -errno;
        closep(&launch->go_fd);
        return 0;
}
