/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Carries out a plan: locks, mounts, starts systemd-nspawn, waits for its end and says why it ended. Only the command
 * `supervise` calls this. It stays as long as the container, so it keeps little memory, and it must not leave
 * anything running or mounted, however it dies. */

#include "machine/supervise.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/string.h"
#include "container/bind.h"
#include "container/cgroup.h"
#include "container/notify.h"
#include "container/tools.h"
#include "container/volume.h"
#include "machine/console.h"
#include "machine/helper.h"
#include "machine/kept.h"
#include "machine/launch.h"
#include "machine/out-of-memory.h"
#include "machine/root.h"
#include "machine/sealed.h"
#include "machine/segment.h"
#include "machine/shared.h"

/* A tenth of the memory that is short: enough for a systemd beside shells, and little enough for a job to have (its
 * processes can go back to it). See proc_pid_oom_score_adj(5). */
#define OOM_SCORE_ADJUST "-100"

/* How old console.log may be while the container runs; at its end it is complete. */
#define CONSOLE_SAVE_USEC (200 * USEC_PER_MSEC)

/* After this time without an event, the supervisor gives memory back. */
#define REST_USEC (500 * USEC_PER_MSEC)

/* What systemd-nspawn ends with when the container asked for a reboot: with --keep-unit it leaves that to the unit
 * (RestartForceExitStatus= in its own systemd-nspawn@.service). */
#define STATUS_REBOOT 133

/* Everything to release when the machine ends. */
typedef struct Supervision {
        const Machine *machine;
        const MachineDirectory *directory;
        int listen_fd, filter_fd, service_fd, signal_fd;
        int owner_fd; /* pidfd of the process that the machine is for; negative: none */
        MachineRoot root;
        VolumeLocks volumes;
        Segment segment;
        CgroupSet groups; /* the job's, of which our own is one below */
        Launch launch;
        pid_t nspawn_pid;
        int nspawn_status;
        bool nspawn_ended;
        const char *why; /* we end it */
        Problem problem; /* with the network */
        Console console;
        MachineLog log;
} Supervision;

static void supervision_done(Supervision *s) {
        closep(&s->listen_fd);
        closep(&s->filter_fd);
        closep(&s->service_fd);
        machine_log_done(&s->log);
        closep(&s->signal_fd);
        launch_done(&s->launch);
        closep(&s->owner_fd);
        segment_done(&s->segment);
        machine_root_done(&s->root);
        volume_locks_done(&s->volumes);
        cgroup_set_done(&s->groups);
}

/* Says that @what failed, unless @reterr_problem says why already. Returns @error. */
static int fail(Problem *reterr_problem, int error, const char *what) {
        return reterr_problem->text[0] ? error : problem_set(reterr_problem, error, "cannot %s: %m", what);
}

/* Opens the process that the container belongs to, so that its end is noticed. */
static int find_owner(Supervision *s) {
        uint64_t start;

        if (s->machine->owner_pid > INT32_MAX)
                return 0;
        s->owner_fd = pidfd_open_cloexec((pid_t) s->machine->owner_pid);
        if (s->owner_fd < 0)
                return s->owner_fd;
        /* With the descriptor open, its process id cannot become that of another one. */
        int r = process_start_time((pid_t) s->machine->owner_pid, &start);
        return r < 0 ? r : start == s->machine->owner_start ? 0 : -ESRCH;
}

static int lock_volumes(Supervision *s, Problem *reterr_problem) {
        _cleanup_free_ char *source = NULL;

        int r = volumes_lock(s->machine, &s->volumes, &source);
        if (r < 0 && source)
                return problem_set(reterr_problem, r, "cannot lock volume '%s': %s", source,
                                   r == -EBUSY ? "another process cleans or removes it" : strerror(-r));
        return r;
}

static int mount_binds(Supervision *s, Problem *reterr_problem) {
        int r = shared_volumes_mount(s->machine, reterr_problem);
        if (r < 0)
                return r;
        _cleanup_close_ int root_fd = open_directory_at(AT_FDCWD, s->root.path, false, 0);
        if (root_fd < 0)
                return root_fd;
        const BindRequest request = {
                .machine = s->machine,
                .job_fd = s->directory->fd,
                .root_fd = root_fd,
                .uid_base = s->root.users.base,
                .uid_range = s->root.users.width,
        };
        return bind_prepare(&request, reterr_problem);
}

/* When memory is short, the kernel must kill what a step started, and not us, systemd-nspawn or the container's first
 * process: that would end the machine. They inherit this setting. Best effort. */
static void spare_from_oom(void) {
        (void) file_write_string_at(AT_FDCWD, "/proc/self/oom_score_adj", OOM_SCORE_ADJUST);
}

static int set_up_control_groups(Supervision *s) {
        int r = cgroup_of_process(0, &s->groups);
        if (r < 0)
                return r;
        bool born = cgroup_leave_out(&s->groups, s->machine->name, CGROUP_SUPERVISE);
        r = cgroup_bound(&s->groups);
        if (r < 0)
                return r;
        r = cgroup_enter_subgroup(&s->groups, CGROUP_SUPERVISE, born);
        if (r < 0)
                return r;
        cgroup_delegate_controllers(&s->groups);
        return 0;
}

/* Starts the process of systemd-nspawn, which waits for start_nspawn(). */
static int begin_nspawn(Supervision *s) {
        const LaunchRequest request = {
                .machine = s->machine,
                .groups = &s->groups,
                .uid_base = s->root.users.base,
                .passed_fds = { s->listen_fd, s->filter_fd, s->segment.inside_fd, s->service_fd },
        };

        int r = launch_begin(&request, &s->launch);
        if (r < 0)
                return r;
        s->nspawn_pid = s->launch.pid;
        /* Only the container has the socket now, so everybody who is connected notices its end. */
        closep(&s->listen_fd);
        closep(&s->filter_fd);
        closep(&s->service_fd);
        closep(&s->segment.inside_fd);
        return 0;
}

static int start_nspawn(Supervision *s, Problem *reterr_problem) {
        int r = machine_root_publish(&s->root, reterr_problem);
        if (r < 0)
                return r;
        int unified = machine_root_needs_unified(&s->root, &s->groups);
        if (unified < 0)
                return problem_set(reterr_problem, unified, "cannot find out the version of the image's systemd: %m");
        return launch_go(&s->launch, unified);
}

/* Reaps our children. As a subreaper, we also get those that a killed systemd-nspawn left behind. */
static void reap(Supervision *s) {
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
                if (pid == s->nspawn_pid) {
                        s->nspawn_ended = true;
                        s->nspawn_status = status;
                }
}

static void kill_children(void) {
        _cleanup_free_ char *children = NULL;
        char path[64], *state = NULL;

        snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int) getpid());
        if (file_read_at(AT_FDCWD, path, 64 * 1024, &children, NULL) < 0)
                return;
        for (char *pid = strtok_r(children, " \n", &state); pid; pid = strtok_r(NULL, " \n", &state))
                (void) kill(atoi(pid), SIGKILL);
}

/* The container ends with its owner, unless it is kept by then. Then others see to its end (machine/kept.h). */
static void take_end_of_owner(Supervision *s) {
        if (!kept_or_job_is(s->directory, s->machine->id)) {
                s->why = "the program that it was for, such as GitLab Runner, ended";
                return;
        }
        closep(&s->owner_fd);
}

/* Waits until the container has ended or has to. */
static int watch(Supervision *s) {
        uint64_t deadline = clock_deadline(s->machine->runtime_max_usec), next_save = 0;
        bool resting = false; /* there is nothing to do, as in most of a job's life */

        while (!s->nspawn_ended && !s->why) {
                struct pollfd pollfds[] = {
                        { .fd = s->signal_fd, .events = POLLIN },
                        { .fd = s->launch.console_fd, .events = POLLIN },
                        { .fd = s->owner_fd, .events = POLLIN },
                        { .fd = s->segment.agent_fd, .events = POLLIN },
                };
                uint64_t until = resting ? deadline : MIN(deadline, clock_deadline(REST_USEC));
                int n = poll(pollfds, ELEMENTSOF(pollfds), clock_poll_timeout(until));

                if (n < 0 && errno != EINTR)
                        return -errno;
                /* Also while the console always has something. */
                if (clock_now_usec() >= deadline)
                        s->why = ENDED_BY_TIME;
                resting = n == 0;
                if (resting) {
                        /* A machine that fails to start may have written all its output since the last save. */
                        console_save(&s->console);
                        process_release_pages();
                }
                if (n > 0 && pollfds[2].revents)
                        take_end_of_owner(s);
                if (n > 0 && pollfds[3].revents && segment_serve(&s->segment, &s->problem) < 0)
                        s->why = s->problem.text;
                if (n > 0 && pollfds[1].revents) {
                        if (console_read(&s->console, s->launch.console_fd) <= 0)
                                closep(&s->launch.console_fd);
                        if (clock_now_usec() >= next_save) {
                                console_save(&s->console);
                                next_save = clock_deadline(CONSOLE_SAVE_USEC);
                        }
                }
                if (n > 0 && pollfds[0].revents) {
                        struct signalfd_siginfo info;

                        while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info))
                                if (info.ssi_signo != SIGCHLD)
                                        s->why = "it was stopped from outside";
                }
                reap(s);
        }
        return 0;
}

/* Kills and reaps until there is no child left. Each round may bring us children of those that just died. */
static void kill_and_wait(Supervision *s) {
        siginfo_t info;

        do {
                reap(s);
                kill_children();
        } while (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) >= 0 || errno == EINTR);
}

/* systemd-nspawn passes on the exit status of the container's first process, which passes on the service's. */
static void describe_service_end(int status, char *ret, size_t size) {
        if (status > 128 && status < 128 + NSIG)
                snprintf(ret, size, "its command was killed by %s", signal_name(status - 128));
        else
                snprintf(ret, size, "its command ended with exit status %d", status);
}

/* Says why the machine ended. Returns what supervise() returns. */
static int report_end(Supervision *s) {
        const char *memory = s->why || s->nspawn_status == 0 ?
                                     NULL :
                                     machine_ran_out_of_memory(s->machine, &s->groups, s->directory);
        char text[PROBLEM_TEXT_MAX];
        int result = 0;

        if (s->why)
                snprintf(text, sizeof(text), "%s", s->why);
        else if (memory)
                snprintf(text, sizeof(text), "%s", memory), result = 1;
        else if (WIFSIGNALED(s->nspawn_status))
                snprintf(text, sizeof(text), "systemd-nspawn was killed by %s",
                         signal_name(WTERMSIG(s->nspawn_status))),
                        result = 1;
        else if (s->machine->command)
                describe_service_end(WEXITSTATUS(s->nspawn_status), text, sizeof(text));
        else if (WEXITSTATUS(s->nspawn_status) == STATUS_REBOOT)
                snprintf(text, sizeof(text), ENDED_BY_REBOOT);
        else if (WEXITSTATUS(s->nspawn_status) != 0)
                snprintf(text, sizeof(text), "systemd-nspawn ended with exit status %d", WEXITSTATUS(s->nspawn_status)),
                        result = 1;
        else
                snprintf(text, sizeof(text), ENDED_BY_POWER_OFF);
        if (s->launch.console_fd >= 0)
                (void) console_read(&s->console, s->launch.console_fd);
        console_save(&s->console);
        (void) machine_file_write(s->directory, MACHINE_FILE_ENDED, text);
        return result;
}

static int block_signals(Supervision *s) {
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, SIGCHLD);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGHUP);
        if (sigprocmask(SIG_SETMASK, &mask, NULL) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return -errno;
        s->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
        return s->signal_fd < 0 ? -errno : 0;
}

/* What systemd-nspawn needs before there is a root: from here on it is loaded meanwhile. */
static int start_early(Supervision *s, Problem *reterr_problem) {
        int r = machine_root_unshare(&s->root, reterr_problem);
        if (r < 0)
                return r;
        r = sealed_filter(s->machine, &s->filter_fd);
        if (r < 0)
                return fail(reterr_problem, r, "read the seccomp filter");
        r = sealed_service(s->machine, &s->service_fd);
        if (r < 0)
                return fail(reterr_problem, r, "prepare the service's command");
        r = segment_open_socket(&s->segment, reterr_problem);
        if (r < 0)
                return r;
        r = set_up_control_groups(s);
        if (r < 0)
                return fail(reterr_problem, r, "set up control groups");
        r = begin_nspawn(s);
        return r < 0 ? fail(reterr_problem, r, "start systemd-nspawn") : 0;
}

/* Makes the container's root. */
static int make_root(Supervision *s, Problem *reterr_problem) {
        int r = machine_root_mount(&s->root, reterr_problem);
        if (r < 0)
                return r;
        r = segment_open(&s->segment, reterr_problem);
        if (r < 0)
                return fail(reterr_problem, r, "make the container's network");
        s->root.resolver = s->segment.names.text;
        r = machine_root_complete(&s->root, reterr_problem);
        if (r < 0)
                return r;
        r = mount_binds(s, reterr_problem);
        if (r < 0)
                return fail(reterr_problem, r, "mount volumes, and what 'bind' and 'bind_ro' name");
        r = helper_mount(&s->root, reterr_problem);
        if (r < 0)
                return r;
        r = tools_mount(s->machine, reterr_problem);
        return r < 0 ? fail(reterr_problem, r, "mount programs of the host") : 0;
}

/* Everything until the container starts. */
static int start(Supervision *s, Problem *reterr_problem) {
        int r = block_signals(s);
        if (r < 0)
                return fail(reterr_problem, r, "set up signals");
        r = find_owner(s);
        if (r < 0)
                return fail(reterr_problem, r, "find the command that the container belongs to");
        r = machine_root_lock(&s->root, reterr_problem);
        if (r < 0)
                return r;
        r = lock_volumes(s, reterr_problem);
        if (r < 0)
                return fail(reterr_problem, r, "lock the job's volumes");
        r = start_early(s, reterr_problem);
        if (r < 0)
                return r;
        r = make_root(s, reterr_problem);
        if (r < 0)
                return r;
        r = start_nspawn(s, reterr_problem);
        return r < 0 ? fail(reterr_problem, r, "start systemd-nspawn") : 0;
}

int supervise(const Machine *machine, const MachineDirectory *directory, int listen_fd, Problem *reterr_problem) {
        bool journal = streq(machine->supervisor, "systemd");
        _cleanup_(supervision_done) Supervision s = {
                .machine = machine,
                .directory = directory,
                .listen_fd = listen_fd,
                .filter_fd = -EBADF,
                .service_fd = -EBADF,
                .log = { .directory = directory, .fd = -EBADF },
                .signal_fd = -EBADF,
                .launch = LAUNCH_NONE,
                .owner_fd = -EBADF,
                .console = { .directory = directory, .forward_fd = journal ? STDOUT_FILENO : -EBADF },
        };

        s.console.log = &s.log;
        s.root = MACHINE_ROOT_NONE;
        s.root.machine = machine;
        s.root.directory_fd = directory->fd;
        s.segment = SEGMENT_NONE;
        s.segment.machine = machine;
        s.segment.directory = directory;
        spare_from_oom();
        int r = start(&s, reterr_problem);
        if (r < 0)
                return r;
        /* While systemd-nspawn starts, make the way out: the container's first process waits for its interface. */
        if (segment_connect(&s.segment, &s.problem) < 0)
                s.why = s.problem.text;
        /* We report this ourselves: systemd-nspawn would pass on whatever the container's first process claims. */
        if (journal && notify_systemd("READY=1\nSTATUS=The container runs") < 0)
                s.why = "its readiness could not be reported to systemd";

        r = watch(&s);
        kill_and_wait(&s);
        int result = report_end(&s);
        return r < 0 ? fail(reterr_problem, r, "wait for the container") : result;
}
