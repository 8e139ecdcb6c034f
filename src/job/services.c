/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Starts the services of a job, side by side with each other and with the job's own container. Only `prepare` calls
 * this, and says what the processes do. Each service has a process, which must not outlive `prepare`: if `prepare` is
 * killed, nobody goes on starting anything, and what was started belongs to the job. */

#include "job/services.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/process.h"
#include "base/string.h"
#include "config/setting-check.h"
#include "container/volume.h"
#include "job/volumes.h"
#include "machine/shared.h"
#include "network/block.h"

/* From SIGTERM to SIGKILL, and from there until nobody waits for them any more. */
#define END_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define KILL_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define END_POLL_USEC (5 * USEC_PER_MSEC)

/* Exit statuses of the processes. */
typedef enum WorkExit { WORK_DONE, WORK_FAULT_OF_JOB, WORK_FAILED } WorkExit;

bool job_services_has(const JobServices *services, size_t i) {
        return services->names[i].names;
}

bool job_services_any(const JobServices *services) {
        for (size_t i = 0; services->names && i < services->job->n_services; i++)
                if (job_services_has(services, i))
                        return true;
        return false;
}

static size_t names_bytes(const JobServices *services) {
        size_t n = 0;

        for (size_t i = 0; i < services->job->n_services; i++)
                for (char **name = services->names[i].names; name && *name; name++)
                        n += strlen(*name) + 1;
        return n;
}

static size_t alias_bytes(const JobSpec *job) {
        size_t n = 0;

        for (size_t i = 0; i < job->n_services; i++)
                n += job->services[i].alias ? strlen(job->services[i].alias) : 0;
        return n;
}

int job_services_name(const JobSpec *job, JobServices *ret) {
        if (job->n_services == 0)
                return 0;
        if (job->n_services > ID_SERVICES_MAX)
                return SERVICES_TOO_MANY;
        /* Each name is compared with all others. */
        if (alias_bytes(job) > SERVICES_NAMES_BYTES_MAX)
                return SERVICES_LONG_NAMES;
        ret->job = job;
        ret->pids = calloc(job->n_services, sizeof(*ret->pids));
        if (!ret->pids)
                return -ENOMEM;
        int r = service_names_assign(job, NULL, &ret->names);
        if (r < 0)
                return r;
        return names_bytes(ret) > SERVICES_NAMES_BYTES_MAX ? SERVICES_LONG_NAMES : 0;
}

/* In the child. */
static _Noreturn void work(const ServiceWork *service, ServiceWorker *worker, pid_t parent) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                _exit(WORK_FAILED);
        int r = worker(service);
        _exit(r == 0 ? WORK_DONE : r > 0 ? WORK_FAULT_OF_JOB : WORK_FAILED);
}

static int begin(JobServices *services, size_t i, const ServiceWork *service, ServiceWorker *worker) {
        pid_t parent = getpid(), pid = fork();

        if (pid < 0)
                return -errno;
        if (pid == 0) {
                close(services->go_fd);
                work(service, worker, parent);
        }
        services->pids[i] = pid;
        return 0;
}

int job_services_begin(const Settings *settings, JobServices *services, ServiceWorker *worker) {
        const JobSpec *job = services->job;
        int go[2];

        if (!job_services_any(services))
                return 0;
        /* A signalfd of its own: each process reads its own pending signals from it. */
        _cleanup_close_ int signal_fd = signals_open();
        if (signal_fd < 0)
                return signal_fd;
        /* Writing to a pipe whose readers have all ended would kill us. */
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go) < 0)
                return -errno;
        _cleanup_close_ int go_read_fd = go[0];
        services->go_fd = go[1];
        for (size_t i = 0; i < job->n_services; i++) {
                ServiceWork service = {
                        .settings = settings,
                        .job = job,
                        .service = &job->services[i],
                        .names = services->names[i].names,
                        .number = (unsigned) i + 1,
                        .debug = job_debugs_services(job),
                        .go_fd = go_read_fd,
                        .signal_fd = signal_fd,
                };
                int r = job_services_has(services, i) ? begin(services, i, &service, worker) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

/* "NUMBER NAME NAME...", as in Machine. */
static int add_host(char ***hosts, unsigned number, char *const *names) {
        _cleanup_free_ char *line = NULL;

        int r = string_printf(&line, "%u", number);
        if (r < 0)
                return r;
        for (; *names; names++) {
                r = string_append(&line, " ", "%s", *names);
                if (r < 0)
                        return r;
        }
        return strv_extend(hosts, line);
}

/* The directories of the project and the cache. Unless they outlive the job, or `bind` names them, they are in the
 * job's layer. */
static int share_directories(const JobSpec *job, const Settings *settings, Machine *machine) {
        static const char *const names[] = { "builds", "cache" };
        bool claimed = job->builds_dir && text_is_absolute_path(job->builds_dir);
        const char *directories[] = {
                settings->builds_dir ? settings->builds_dir :
                claimed              ? job->builds_dir :
                                       NULL,
                settings->cache_dir,
        };

        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                _cleanup_free_ char *source = NULL;

                if (!directories[i] || job_volume_is_taken(machine, directories[i], NULL))
                        continue;
                int r = shared_volume_source(machine, names[i], &source);
                if (r < 0)
                        return r;
                r = volume_add(&machine->volumes, source, directories[i], false, NULL);
                if (r < 0)
                        return r;
        }
        return 0;
}

unsigned job_services_address(unsigned number) {
        return BLOCK_JOB + number;
}

int job_services_plan(const JobServices *services, const Settings *settings, Machine *machine) {
        if (!job_services_any(services))
                return 0;
        machine->has_segment = true;
        int r = share_directories(services->job, settings, machine);
        if (r < 0)
                return r;
        r = add_host(&machine->hosts, BLOCK_JOB, ARGV("build", machine->hostname ? machine->hostname : machine->name));
        if (r < 0)
                return r;
        for (size_t i = 0; i < services->job->n_services; i++) {
                if (!job_services_has(services, i))
                        continue;
                r = add_host(&machine->hosts, job_services_address((unsigned) i + 1), services->names[i].names);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool is_alive(pid_t pid) {
        siginfo_t info = { 0 };

        return waitid(P_PID, (id_t) pid, &info, WEXITED | WNOHANG | WNOWAIT) >= 0 && info.si_pid == 0;
}

void job_services_go(JobServices *services, void (*on_go)(const JobService *service, const char *name)) {
        if (!job_services_any(services))
                return;
        for (size_t i = 0; i < services->job->n_services; i++)
                if (services->pids[i] > 0 && is_alive(services->pids[i])) {
                        on_go(&services->job->services[i], services->names[i].names[0]);
                        (void) send(services->go_fd, "", 1, MSG_NOSIGNAL);
                }
        closep(&services->go_fd);
}

/* What process @i ended with; -EAGAIN: it still runs. */
static int reap(JobServices *services, size_t i) {
        int status;

        pid_t pid = waitpid(services->pids[i], &status, WNOHANG);
        if (pid == 0)
                return -EAGAIN;
        services->pids[i] = 0;
        if (pid < 0 || !WIFEXITED(status))
                return -ECHILD;
        return WEXITSTATUS(status) == WORK_DONE         ? 0 :
               WEXITSTATUS(status) == WORK_FAULT_OF_JOB ? SERVICES_FAULT_OF_JOB :
                                                          -ECHILD;
}

/* 0: all have ended well; -EAGAIN: one still runs; or what one failed with. */
static int reap_all(JobServices *services) {
        int result = 0;

        for (size_t i = 0; i < services->job->n_services; i++) {
                int r = services->pids[i] > 0 ? reap(services, i) : 0;

                if (r == -EAGAIN)
                        result = r;
                else if (r != 0)
                        return r;
        }
        return result;
}

static int look(JobServices *services, const MachineStarting *starting, int signal_fd, int child_fd) {
        struct pollfd pollfds[] = {
                { .fd = signal_fd, .events = POLLIN },
                { .fd = starting->socket_fd, .events = POLLIN },
                { .fd = child_fd, .events = POLLIN },
        };

        int r = reap_all(services);
        if (r != -EAGAIN)
                return r;
        if (poll(pollfds, ELEMENTSOF(pollfds), -1) < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        return pollfds[0].revents ? SERVICES_CANCELLED : pollfds[1].revents ? SERVICES_JOB_ENDED : -EAGAIN;
}

/* A descriptor of the first process that still runs, which becomes readable at its end. */
static int open_child(const JobServices *services) {
        for (size_t i = 0; i < services->job->n_services; i++)
                if (services->pids[i] > 0)
                        return pidfd_open_cloexec(services->pids[i]);
        return -ECHILD;
}

int job_services_wait(JobServices *services, const MachineStarting *starting, int signal_fd) {
        if (!job_services_any(services))
                return 0;
        for (;;) {
                _cleanup_close_ int child_fd = open_child(services);
                int r = look(services, starting, signal_fd, child_fd);

                if (r != -EAGAIN)
                        return r;
        }
}

static bool signal_all(const JobServices *services, int signal) {
        bool any = false;

        for (size_t i = 0; i < services->job->n_services; i++)
                if (services->pids[i] > 0 && kill(services->pids[i], signal) >= 0)
                        any = true;
        return any;
}

static void reap_what_ended(JobServices *services) {
        for (size_t i = 0; i < services->job->n_services; i++)
                if (services->pids[i] > 0)
                        (void) reap(services, i);
}

void job_services_done(JobServices *services) {
        uint64_t deadline = clock_deadline(END_TIMEOUT_USEC),
                 last = clock_deadline(END_TIMEOUT_USEC + KILL_TIMEOUT_USEC);

        closep(&services->go_fd);
        if (services->pids) {
                (void) signal_all(services, SIGTERM);
                for (reap_what_ended(services); signal_all(services, 0); reap_what_ended(services)) {
                        /* Those that the kernel holds, as on a disk that does not answer, end without us. */
                        if (clock_now_usec() >= last)
                                break;
                        if (clock_now_usec() >= deadline)
                                (void) signal_all(services, SIGKILL);
                        clock_sleep_usec(END_POLL_USEC);
                }
        }
        if (services->names)
                service_names_free(services->names, services->job->n_services);
        free(services->pids);
        *services = JOB_SERVICES_NONE;
}
