/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What `run` does about the services of its job: with CI_DEBUG_SERVICES it copies their output while the script runs, and
 * when the script failed, it finds those that have ended. That a service ends is no failure by itself. */

#include "job/service-copier.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/string.h"
#include "job/service-names.h"
#include "machine/services.h"

#define COPY_MSEC 200

static int load(const Settings *settings, const char *id, MachineDirectory *ret_directory, Machine **ret_machine) {
        int r = machine_directory_open(settings->runtime_dir, id, false, ret_directory);

        return r < 0 ? r : machine_load(ret_directory, ret_machine);
}

static void copy_all(const Settings *settings, const JobSpec *job, bool thorough, OnLine *on_line) {
        _cleanup_strv_ char **ids = NULL;

        if (services_list(settings, job->id, &ids) < 0)
                return;
        for (char **id = ids; id && *id; id++) {
                _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
                _cleanup_machine_ Machine *machine = NULL;

                if (load(settings, *id, &directory, &machine) >= 0)
                        service_log_copy(machine, &directory, thorough, on_line);
        }
}

/* In the child. */
static _Noreturn void copy_until(const Settings *settings, const JobSpec *job, int stop_fd, OnLine *on_line) {
        struct pollfd pollfd = { .fd = stop_fd, .events = POLLIN };

        while (poll(&pollfd, 1, COPY_MSEC) == 0)
                copy_all(settings, job, false, on_line);
        copy_all(settings, job, true, on_line);
        _exit(EXIT_SUCCESS);
}

void service_copier_begin(const Settings *settings, const JobSpec *job, OnLine *on_line, ServiceCopier *ret) {
        int stop[2];

        if (job->n_services == 0 || !job_debugs_services(job) || pipe2(stop, O_CLOEXEC) < 0)
                return;
        pid_t parent = getpid(), pid = fork();
        if (pid == 0) {
                close(stop[1]);
                if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                        _exit(EXIT_FAILURE);
                copy_until(settings, job, stop[0], on_line);
        }
        close(stop[0]);
        if (pid < 0) {
                close(stop[1]);
                return;
        }
        *ret = (ServiceCopier){ .pid = pid, .stop_fd = stop[1] };
}

void service_copier_end(ServiceCopier *copier) {
        int status;

        closep(&copier->stop_fd);
        if (copier->pid > 0)
                (void) process_wait(copier->pid, &status);
        *copier = SERVICE_COPIER_NONE;
}

void services_find_ended(const Settings *settings, const JobSpec *job,
                         void (*on_ended)(const Machine *machine, const char *why)) {
        _cleanup_strv_ char **ids = NULL;

        if (job->n_services == 0 || services_list(settings, job->id, &ids) < 0)
                return;
        for (char **id = ids; id && *id; id++) {
                _cleanup_machine_directory_ MachineDirectory directory = MACHINE_DIRECTORY_NONE;
                _cleanup_machine_ Machine *machine = NULL;

                if (load(settings, *id, &directory, &machine) < 0)
                        continue;
                _cleanup_free_ char *why = machine_file_read(&directory, MACHINE_FILE_ENDED);
                if (why && machine->names)
                        on_ended(machine, why);
        }
}
