/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `logs`: prints what a job's container, or a service of the job, has printed so far, or what the last
 * maintenance of an image said. Only reads. What booted its systemd has a journal of its own inside, which is asked
 * for. */

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
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

#define POLL_USEC (200 * USEC_PER_MSEC)

/* Prints what is new. Returns how many bytes, or -errno. */
static int print_new(const MachineDirectory *directory, uint64_t *offset) {
        _cleanup_free_ char *text = NULL;
        uint64_t lost;
        size_t size;

        int r = machine_log_read(directory, offset, &text, &size, &lost);
        if (r < 0)
                return r;
        if (lost > 0)
                log_notice("(%" PRIu64 " bytes are not kept any more)", lost);
        if (size == 0)
                return 0;
        r = fd_write_all(STDOUT_FILENO, text, size);
        return r < 0 ? r : (int) size;
}

static bool runs(const Settings *settings, const char *id) {
        MachineState state = machine_state(settings, id);

        return state == MACHINE_BUSY || state == MACHINE_RUNNING;
}

static int print_log(const Settings *settings, const char *id, const MachineDirectory *directory, bool follow) {
        uint64_t offset = 0;

        for (;;) {
                /* Asked before reading, so that everything printed until then is shown. */
                bool more = follow && runs(settings, id);
                int r = print_new(directory, &offset);

                if (r < 0 || (r == 0 && !more))
                        return r == -EPIPE ? 0 : r;
                if (r == 0)
                        clock_sleep_usec(POLL_USEC);
        }
}

/* The journal of a container that booted. */
static int print_journal(const MachineDirectory *directory, bool follow) {
        StepRequest request = STEP_REQUEST_PLAIN;
        StepOutcome outcome;

        _cleanup_close_ int socket_fd = channel_connect(directory->path);
        if (socket_fd < 0)
                return socket_fd == -ECONNREFUSED ? 0 : socket_fd;
        request.argv = ARGV("journalctl", "--boot", "--no-pager", "--lines=all", follow ? "--follow" : NULL);
        request.kill_timeout_usec = USEC_PER_SEC;
        request.machine = directory->path;
        int r = step_run(socket_fd, &request, &outcome);
        if (r < 0)
                return r;
        return outcome.result == STEP_CANCELLED ? -ECANCELED : 0;
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

        for (;;) {
                bool more = follow && maintenance_log_grows(fd); /* asked before reading, see above */
                ssize_t n = read(fd, data, sizeof(data));

                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0 && fd_write_all(STDOUT_FILENO, data, (size_t) n) < 0)
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
