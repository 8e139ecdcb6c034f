/* SPDX-License-Identifier: GPL-3.0-or-later */

/* With CI_DEBUG_SERVICES, `run` copies what the job's services print into the job's log while the script runs. A
 * process of its own does that and nothing else, and ends with `run`: it must not go on after the script, and its
 * failures fail no job. */

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
/* How long the last copy may take, of all services together. The next script's goes on where it was. */
#define LAST_COPY_USEC (20 * USEC_PER_SEC)

typedef struct Copy {
        bool thorough;
        OnLine *on_line;
} Copy;

static void copy_one(const Machine *machine, const MachineDirectory *directory, void *userdata) {
        const Copy *copy = userdata;

        service_log_copy(machine, directory, copy->thorough, copy->on_line);
}

static void copy_all(const Settings *settings, const JobSpec *job, bool thorough, OnLine *on_line) {
        services_visit(settings, job->id, copy_one, &(Copy){ thorough, on_line });
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
        if (copier->pid > 0) {
                _cleanup_close_ int pidfd = pidfd_open_cloexec(copier->pid);

                if (pidfd < 0 || pidfd_wait(pidfd, LAST_COPY_USEC) < 0)
                        (void) kill(copier->pid, SIGKILL);
                (void) process_wait(copier->pid, &status);
        }
        *copier = SERVICE_COPIER_NONE;
}
