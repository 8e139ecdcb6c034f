/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `logs`: prints what a job's container, or a service of the job, has printed so far, or what the last
 * maintenance of an image said. A terminal gets only text and colours of that. Only reads. What booted its systemd has a
 * journal of its own inside, which is asked for. */

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/commands.h"
#include "cli/find-machine.h"
#include "container/channel.h"
#include "image/image.h"
#include "machine/collect.h"
#include "machine/directory.h"
#include "machine/log.h"
#include "machine/step.h"
#include "maintain/maintenance-log.h"
#include "terminal/shown.h"

#define POLL_USEC (200 * USEC_PER_MSEC)

/* Prints what is new. Returns how many bytes, or -errno. */
static int print_new(const MachineDirectory *directory, uint64_t *offset, Shown *shown) {
        _cleanup_free_ char *text = NULL;
        uint64_t lost;
        size_t size;

        int r = machine_log_read(directory, offset, &text, &size, &lost);
        if (r < 0)
                return r;
        if (lost > 0)
                log_notice("(%" PRIu64 " bytes are not kept any more)", lost);
        if (size == 0)
                return shown_flush(shown);
        r = shown_write(shown, text, size);
        return r < 0 ? r : (int) size;
}

static bool runs(const Settings *settings, const char *id) {
        MachineState state = machine_state(settings, id);

        return state == MACHINE_BUSY || state == MACHINE_RUNNING;
}

static int print_log(const Settings *settings, const char *id, const MachineDirectory *directory, bool follow) {
        uint64_t offset = 0;
        Shown shown;

        shown_begin(&shown, STDOUT_FILENO);
        for (;;) {
                /* Asked before reading, so that everything printed until then is shown. */
                bool more = follow && runs(settings, id);
                int r = print_new(directory, &offset, &shown);

                if (r < 0 || (r == 0 && !more))
                        return r == -EPIPE ? 0 : r;
                if (r == 0)
                        clock_sleep_usec(POLL_USEC);
        }
}

/* Shows on a terminal what comes through a pipe. */
static int show_pipe(int fd, int terminal_fd) {
        struct pollfd pollfd = { .fd = fd, .events = POLLIN };
        char data[4096];
        Shown shown;

        shown_begin(&shown, terminal_fd);
        for (;;) {
                ssize_t n = poll(&pollfd, 1, (int) (POLL_USEC / USEC_PER_MSEC)) == 0 ? 0 : read(fd, data, sizeof(data));
                int r = n > 0 ? shown_write(&shown, data, (size_t) n) : n == 0 ? shown_flush(&shown) : -errno;

                if (r < 0 && r != -EINTR)
                        return r;
                if (n == 0 && pollfd.revents)
                        return 0;
        }
}

/* A process between the container and the terminal, while `step_run()` writes to *ret_fd. Its number, or -errno. */
static pid_t begin_showing(int terminal_fd, int *ret_fd) {
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        pid_t pid = fork();
        if (pid == 0) {
                close(fds[1]);
                /* What was printed until a person ends us is shown. */
                (void) signal(SIGINT, SIG_IGN);
                (void) signal(SIGQUIT, SIG_IGN);
                _exit(show_pipe(fds[0], terminal_fd) < 0);
        }
        int error = errno;
        close(fds[0]);
        if (pid < 0) {
                close(fds[1]);
                return -error;
        }
        *ret_fd = fds[1];
        return pid;
}

static int ask_journal(const MachineDirectory *directory, bool follow, int stdout_fd, int stderr_fd) {
        StepRequest request = STEP_REQUEST_PLAIN;
        StepOutcome outcome;

        _cleanup_close_ int socket_fd = channel_connect(directory->path);
        if (socket_fd < 0)
                return socket_fd == -ECONNREFUSED ? 0 : socket_fd;
        request.argv = ARGV("journalctl", "--boot", "--no-pager", "--lines=all", follow ? "--follow" : NULL);
        request.kill_timeout_usec = USEC_PER_SEC;
        request.machine = directory->path;
        request.stdout_fd = stdout_fd;
        request.stderr_fd = stderr_fd;
        int r = step_run(socket_fd, &request, &outcome);
        if (r < 0)
                return r;
        return outcome.result == STEP_CANCELLED ? -ECANCELED : 0;
}

/* The journal of a container that booted. */
static int print_journal(const MachineDirectory *directory, bool follow) {
        bool to = isatty(STDOUT_FILENO), errors = isatty(STDERR_FILENO);
        int status, pipe_fd = -EBADF;

        if (!to && !errors)
                return ask_journal(directory, follow, STDOUT_FILENO, STDERR_FILENO);
        pid_t pid = begin_showing(to ? STDOUT_FILENO : STDERR_FILENO, &pipe_fd);
        if (pid < 0)
                return pid;
        int r = ask_journal(directory, follow, to ? pipe_fd : STDOUT_FILENO, errors ? pipe_fd : STDERR_FILENO);
        close(pipe_fd);
        (void) process_wait(pid, &status);
        return r;
}

static int print_machine(const Settings *settings, const char *id, bool follow) {
        _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
        _cleanup_machine_ Machine *machine = NULL;

        int r = machine_directory_open(settings->runtime_dir, id, false, &directory);
        if (r < 0)
                return r;
        r = machine_load(&directory, &machine);
        if (r < 0)
                return r;
        bool booted = machine->init && machine->names;
        r = print_log(settings, id, &directory, follow && !booted);
        if (r < 0)
                return r;
        r = booted ? print_journal(&directory, follow) : 0;
        if (r < 0)
                return r;
        _cleanup_free_ char *ended = machine_file_read(&directory, MACHINE_FILE_ENDED);
        if (ended)
                log_notice("The container ended: %s", ended);
        return 0;
}

static int copy_log(int fd, bool follow) {
        char data[4096];
        Shown shown;

        shown_begin(&shown, STDOUT_FILENO);
        for (;;) {
                bool more = follow && maintenance_log_grows(fd); /* asked before reading, see above */
                ssize_t n = read(fd, data, sizeof(data));

                if (n < 0 && errno != EINTR)
                        return -errno;
                if ((n > 0 && shown_write(&shown, data, (size_t) n) < 0) || (n == 0 && shown_flush(&shown) < 0))
                        return 0; /* nobody reads it any more */
                if (n == 0 && !more)
                        return 0;
                if (n == 0)
                        clock_sleep_usec(POLL_USEC);
        }
}

/* Neither a job nor the log of an image is called so. */
static int log_nothing(const Settings *settings, const char *name) {
        _cleanup_image_ Image *image = NULL;

        if (image_open(settings->root_dir, name, &image) >= 0) {
                log_error("There is no log of image '%s': 'nspawn-runner chroot-maintenance' has not worked on it",
                          name);
                return -ENOENT;
        }
        return log_not_running(name, -ENOENT);
}

/* Prints what the last maintenance of an image said. */
static int print_maintenance(const Settings *settings, const char *image, bool follow) {
        _cleanup_close_ int fd = maintenance_log_open(settings->root_dir, image);

        if (fd == -ENOENT)
                return fd;
        int r = fd < 0 ? fd : copy_log(fd, follow);
        return r < 0 ? log_error_errno(r, "Cannot read what the last maintenance of image '%s' said: %m", image) : 0;
}

static int run(const Invocation *invocation) {
        const Settings *settings = invocation->settings;
        const char *job = invocation_argument(invocation, 0), *service = invocation_argument(invocation, 1);
        bool follow = invocation_has(invocation, "follow");
        _cleanup_free_ char *id = NULL;

        int r = find_machine(settings, job, &id);
        if (r == -ENOENT || r == -EINVAL) {
                r = service ? -ENOENT : print_maintenance(settings, job, follow);
                if (r != -ENOENT)
                        return r;
                if (!service)
                        return log_nothing(settings, job);
        }
        r = find_machine_logged(settings, job, service, &id);
        if (r < 0)
                return r;
        r = print_machine(settings, id, follow);
        if (r == -ENOENT)
                return log_not_running(job, r);
        if (r < 0 && r != -ECANCELED)
                return log_error_errno(r, "Cannot read the log of job %s: %m", job);
        return r;
}

static const CommandOption options[] = {
        { "follow", NULL, "go on printing what comes, until the container or the maintenance ends", 'f' },
        { 0 },
};

const Command command_logs = {
        .name = "logs",
        .synopsis = "ID|IMAGE [SERVICE]",
        .min_arguments = 1,
        .max_arguments = 2,
        .options = options,
        .flags = COMMAND_ROOT,
        .run = run,
        .help = "Print what a job or service has printed, or the last maintenance of an image",
};
