/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/string.h"

/* More than the default 64 KiB: fewer switches between a chatty step and the host. The kernel may refuse (pipe(7),
 * pipe-user-pages-soft), and then the default is as good. */
#define PIPE_SIZE_BYTES (256 * 1024)

static const char *default_shell(void) {
        return access("/bin/bash", X_OK) >= 0 ? "/bin/bash" : "/bin/sh";
}

/* The whole environment of a script: nothing of the host's, nothing of ours. */
static int build_environment(const char *shell, char ***ret) {
        _cleanup_strv_ char **environment = NULL;
        const char *path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        const char *fixed[] = { path,           "HOME=/root",   "USER=root",
                                "LOGNAME=root", "LANG=C.UTF-8", "container=systemd-nspawn" };

        for (size_t i = 0; i < ELEMENTSOF(fixed); i++)
                if (strv_extend(&environment, fixed[i]) < 0)
                        return -ENOMEM;
        if (strv_extendf(&environment, "SHELL=%s", shell) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(environment);
        return 0;
}

static int write_script(int source_fd, char *ret_path, size_t size) {
        static unsigned counter;
        char path[256];
        off_t offset = 0;
        struct stat st;

        if (fstat(source_fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;

        /* A job may have removed it. */
        if (mkdir(AGENT_DIR, 0700) < 0 && errno != EEXIST)
                return -errno;
        /* The pid: this agent may have been started again by the container's systemd. */
        snprintf(path, sizeof(path), AGENT_DIR "/script.%d.%u", (int) getpid(), counter++);
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0700);
        if (fd < 0)
                return -errno;
        while (offset < st.st_size) {
                ssize_t n = sendfile(fd, source_fd, &offset, (size_t) (st.st_size - offset));
                if (n <= 0) {
                        int r = n < 0 ? -errno : -EIO;
                        (void) unlink(path);
                        return r;
                }
        }
        snprintf(ret_path, size, "%s", path);
        return 0;
}

/* Starts the program; its stdio are /dev/null and the write ends. */
static int spawn(char *const argv[], char *const envp[], int stdout_fd, int stderr_fd, pid_t *ret) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t all, none;

        /* Whatever we, or who started us, ignores. */
        sigfillset(&all);
        sigemptyset(&none);
        if (chdir("/root") < 0)
                (void) chdir("/");

        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
        int error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        if (error == 0)
                error = posix_spawn_file_actions_adddup2(&actions, stdout_fd, STDOUT_FILENO);
        if (error == 0)
                error = posix_spawn_file_actions_adddup2(&actions, stderr_fd, STDERR_FILENO);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
        if (error == 0)
                error = posix_spawn(ret, argv[0], &actions, &attributes, argv, envp);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        return -error;
}

static int make_pipe(int ret[static 2]) {
        if (pipe2(ret, O_CLOEXEC) < 0)
                return -errno;
        (void) fcntl(ret[1], F_SETPIPE_SZ, PIPE_SIZE_BYTES);
        return 0;
}

static void close_pair(int (*fds)[2]) {
        closep(&(*fds)[0]);
        closep(&(*fds)[1]);
}

/* What can go wrong with execve() that is about the file and not about us. */
static bool is_exec_error(int error) {
        switch (error) {
        case ENOENT:
        case ENOTDIR:
        case EACCES:
        case EISDIR:
        case ENOEXEC:
        case ELOOP:
        case ELIBBAD:
        case ETXTBSY:
        case EINVAL:
        case ENAMETOOLONG:
        case EPERM:
                return true;
        default:
                return false;
        }
}

int step_start(const WireExec *exec, int script_fd, Step *ret, WireCause *ret_cause) {
        _cleanup_(close_pair) int out[2] = { -EBADF, -EBADF };
        _cleanup_(close_pair) int err[2] = { -EBADF, -EBADF };
        _cleanup_strv_ char **environment = NULL;
        Step step = { .kill_timeout_usec = (uint64_t) exec->kill_timeout_msec * USEC_PER_MSEC };

        *ret_cause = WIRE_CAUSE_AGENT;
        if (!exec->argv[0])
                return -EINVAL;
        if (isempty(exec->argv[0]))
                exec->argv[0] = (char *) default_shell();

        int r = build_environment(exec->argv[0], &environment);
        if (r < 0 || (r = make_pipe(out)) < 0 || (r = make_pipe(err)) < 0)
                return r;
        if (script_fd >= 0) {
                size_t n = strv_length(exec->argv);

                r = write_script(script_fd, step.script_path, sizeof(step.script_path));
                if (r < 0)
                        return r;
                exec->argv[n] = step.script_path; /* wire_parse_exec() leaves room */
                exec->argv[n + 1] = NULL;
        }

        r = spawn(exec->argv, environment, out[1], err[1], &step.pid);
        if (r < 0) {
                if (is_exec_error(-r))
                        *ret_cause = WIRE_CAUSE_SHELL;
                if (step.script_path[0])
                        (void) unlink(step.script_path);
                return r;
        }
        step.output_fds[0] = TAKE_FD(out[0]);
        step.output_fds[1] = TAKE_FD(err[0]);
        *ret = step;
        return 0;
}

/* One process as far as ending a step is concerned. */
typedef struct Process {
        pid_t pid, parent, session;
        bool ours;
} Process;

/* Reads the fields that matter of /proc/PID/stat. The command's name, in parentheses, can hold anything. */
static bool read_process(const char *pid, Process *ret) {
        char path[64], data[512];
        int parent, session;
        char state;

        snprintf(path, sizeof(path), "/proc/%s/stat", pid);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        ssize_t n = read(fd, data, sizeof(data) - 1);
        if (n <= 0)
                return false;
        data[n] = 0;
        char *p = strrchr(data, ')');
        if (!p || sscanf(p + 1, " %c %d %*d %d", &state, &parent, &session) != 3)
                return false;
        if (state == 'Z' || state == 'X')
                return false; /* dead already; its parent's to reap */
        *ret = (Process){ .pid = atoi(pid), .parent = parent, .session = session };
        return true;
}

static size_t list_processes(Process **ret) {
        _cleanup_closedir_ DIR *dir = opendir("/proc");
        _cleanup_free_ Process *processes = NULL;
        size_t n = 0, allocated = 0;
        struct dirent *entry;

        while (dir && (entry = readdir(dir))) {
                if (!isdigit((unsigned char) entry->d_name[0]))
                        continue;
                if (n == allocated) {
                        Process *grown = reallocarray(processes, allocated + 64, sizeof(Process));
                        if (!grown)
                                break;
                        processes = grown;
                        allocated += 64;
                }
                if (read_process(entry->d_name, &processes[n]))
                        n++;
        }
        *ret = TAKE_PTR(processes);
        return n;
}

/* Sends @signal to the step's session and to everything that descends from it (sudo and script(1) put what they run
 * into a session of its own). What left both, a daemon, is not in the foreground. Returns how many there were. */
static size_t signal_foreground(const Step *step, int signal) {
        _cleanup_free_ Process *processes = NULL;
        size_t n = list_processes(&processes), found = 0;
        bool grew = true;

        while (grew) {
                grew = false;
                for (size_t i = 0; i < n; i++) {
                        if (processes[i].ours)
                                continue;
                        bool ours = processes[i].session == step->pid || processes[i].pid == step->pid;
                        for (size_t j = 0; !ours && j < n; j++)
                                ours = processes[j].ours && processes[j].pid == processes[i].parent;
                        processes[i].ours = ours;
                        grew |= ours;
                }
        }
        for (size_t i = 0; i < n; i++)
                if (processes[i].ours && processes[i].pid > 1 && processes[i].pid != getpid()) {
                        (void) kill(processes[i].pid, signal);
                        found++;
                }
        return found;
}

void step_cancel(Step *step) {
        if (step->state != STEP_RUNNING)
                return;
        step->state = STEP_CANCELLED;
        step->kill_at_usec = clock_deadline(step->kill_timeout_usec);
        (void) signal_foreground(step, SIGTERM);
        /* A stopped process gets its SIGTERM only when it goes on. */
        (void) signal_foreground(step, SIGCONT);
}

bool step_cancel_progress(Step *step) {
        if (step->state == STEP_CANCELLED && clock_now_usec() >= step->kill_at_usec)
                step->state = STEP_KILLING;
        return signal_foreground(step, step->state == STEP_KILLING ? SIGKILL : 0) == 0 && step->shell_ended;
}

void step_done(Step *step) {
        if (step->script_path[0])
                (void) unlink(step->script_path);
        close_pair(&step->output_fds);
}
