/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "wire/wire.h"

/* The agent inside the container. It runs as root of the container, beside the processes of a job that may be
 * hostile. It does not protect the host (the kernel does), but must stay alive for honest jobs. */

#ifndef AGENT_DIR /* the tests have their own */
#define AGENT_DIR "/run/nspawn-runner"
#endif

#define LISTEN_FDS_START 3 /* sd_listen_fds(3) */

/* The agent's name in comm(5), the same as when it is executed. */
#define AGENT_COMM "nspawn-runner-a"
/* The name of the relay. */
#define RELAY_COMM "nspawn-runner-r"

/* --- first.c: what the container's first process does before anything of the image runs --- */

/* Empties the inheritable set of capabilities, which systemd-nspawn leaves full: a program with inheritable file
 * capabilities would get them for any user (CVE-2022-24769 was that of container engines). 0 or -errno. */
int first_clear_inheritable(void);

/* Installs the seccomp filter in @filter_fd (an array of struct sock_filter). 0 or -errno. */
int first_install_seccomp(int filter_fd);

/* Gives the container its own machine-id, host name and hosts file, with the lines @hosts; NULL: with a line for the
 * host name. Best effort: images are allowed to be odd. */
void first_write_identity(const char *hosts);

/* After that, if the image was made for Docker: what such images' programs expect of a container beside it. Best effort. */
void first_be_like_docker(void);

/* What the image's systemd gives its services for LANG: a locale that the image has. */
void first_set_locale(void);

/* Writes the units that start this agent again under the image's systemd with the socket @listen_fd, and executes
 * @init, which starts unit @target, too, if that is not NULL. Returns only on failure, with -errno. */
int first_execute_init(const char *init, const char *target, int listen_fd);

/* --- network.c: the container's interface --- */

/* Sends the container's network namespace over @socket_fd and waits for the answer, as long as the other end is open:
 * lines for /etc/hosts, to be freed. 0; -ECONNRESET: the other end was closed; or another -errno. */
int network_wait(int socket_fd, char **ret_hosts);

/* --- units.c: what the image's systemd starts --- */

#define UNITS_TARGET "nspawn-runner.target"
#define UNITS_SERVICE "nspawn-runner-agent.service"

/* Writes the units that start this agent again, as a service, with the socket @listen_fd, and those that start
 * @target (NULL: nothing else). It begins to serve when the agent with process number @agent_pid that started at
 * @agent_start has ended (0: there is none). What a job has put there is replaced. 0 or -errno. */
int units_write(int listen_fd, const char *target, pid_t agent_pid, uint64_t agent_start);

/* --- surroundings.c: what the agent needs of the container, from before a job could change it --- */

/* The helper's root as the first step in it has made it (root.c), for later steps. */
typedef struct HelperRoot {
        int namespace_fd; /* mount namespace; negative: there is none yet */
        uint64_t seen;    /* what was at the paths that it shares */
} HelperRoot;

typedef struct Surroundings {
        int proc_fd; /* /proc, or negative: there is none */
        int null_fd; /* /dev/null, or an empty file where that is something else; or negative */
        HelperRoot *helper;
        int variables_fd; /* that came with a step and are kept (WireExec): sealed; negative: none */
        const char *lang; /* the value of LANG that the image has a locale for */
} Surroundings;

/* As far as it is there: negative descriptors stand for what is not. */
void surroundings_open(Surroundings *ret);
void surroundings_done(Surroundings *surroundings);

/* Opens @path below /proc, never waiting, and nothing that was mounted there since. Descriptor or -errno. Can be called
 * after vfork(). */
int surroundings_open_proc(const Surroundings *surroundings, const char *path, int flags);

/* --- account.c: the users of the image --- */

/* Who a step runs as. */
typedef struct Account {
        uid_t uid;
        gid_t gid;
        gid_t *groups; /* NULL: none */
        size_t n_groups;
        char *name, *home;
} Account;

void account_done(Account *account);
#define _cleanup_account_ _cleanup_(account_done)

/* Finds @user, "USER[:GROUP]" by names or numbers, in the files @passwd and @group of the image. A number need not be
 * there; without GROUP the user's own groups count. 0; -ESRCH: there is no such user or group; or -errno. */
int account_find(const char *user, const char *passwd, const char *group, Account *ret);

/* --- environment.c --- */

/* The whole environment of a step of @account's in this container, with @additions over what each step has. *ret is for
 * strv_free(). 0 or -ENOMEM. */
int environment_build(const char *lang, const char *shell, const Account *account, char *const *additions, char ***ret);

/* Adds the variables that are kept for such steps, as far as the kernel takes them. A step on a terminal does not get
 * TERM: that is set by the person's command. @variables_fd may be negative. 0 or -errno. */
int environment_add_kept(int variables_fd, bool terminal, char ***environment);

/* --- step.c: one script and what it started --- */

typedef enum StepState {
        STEP_RUNNING,
        STEP_CANCELLED, /* SIGTERM was sent, SIGKILL comes at kill_at_usec */
        STEP_KILLING,
} StepState;

/* A process, also after its parent and its session are gone. */
typedef struct ProcessMark {
        pid_t pid;
        uint64_t started; /* clock ticks after boot (proc(5)): a process number comes again */
} ProcessMark;

typedef struct Step {
        pid_t pid;              /* of the shell, which leads the session */
        ProcessMark *cancelled; /* what was found when it was cancelled, as far as it lives */
        size_t n_cancelled;
        StepState state;
        bool shell_ended;
        bool group_gone; /* the shell's process group is empty: its number may be used again */
        WireExited exited;
        uint64_t kill_timeout_usec, kill_at_usec;
        int output_fds[2]; /* read ends of its stdout and stderr; negative: closed, or it has a terminal */
        char script_path[256];
} Step;

/* What the host must know before the program begins: the program may kill us, so this may be our last message. As in
 * WIRE_STARTED; the descriptors are closed afterwards. */
typedef struct StepStarted {
        WireStarted message;
        int fds[WIRE_FDS_MAX];
        size_t n_fds;
} StepStarted;

/* Called in the child, as after vfork(), right before execve(), which can still fail. */
typedef void (*StepAnnounce)(const StepStarted *started, void *userdata);

/* In a process where SIGPIPE is ignored and all other signals are at their defaults: starts @exec with @script_fd as
 * its script (negative: none) in a session of its own. 0, or -errno with *reterr_cause set and nothing left behind. */
int step_start(const Surroundings *surroundings, const WireExec *exec, int script_fd, StepAnnounce announce,
               void *userdata, Step *ret, WireCause *reterr_cause);

/* Removes its script and closes what is open. */
void step_done(Step *step);

/* The same for a program without a connection: its output goes where ours goes, its stdin is empty, and of @exec only
 * user, directories, argv and environment count. 0 with its process in *ret, or as step_start(). */
int step_start_plain(const Surroundings *surroundings, const WireExec *exec, pid_t *ret, WireCause *reterr_cause);

/* --- service.c: the one program that a container is for --- */

/* Starts what @service_fd has (wire/service.h). 0 with its process in *ret; or -errno, with the reason printed. */
int service_start(const Surroundings *surroundings, int service_fd, pid_t *ret);
/* --- root.c: the helper's root --- */

/* Call it before a step is started in that root: forgets the root that an earlier step has made, if the container has
 * other mounts by now at the paths of @shared, or at those that every step has. */
void root_look_helper(HelperRoot *helper, char *const *shared);

/* In the child that is to become the step: goes to that root. Where there is none, makes the helper's tree, at
 * HELPER_INSIDE, the root of a new mount namespace, with /proc, /sys, /dev, /run, /tmp, hosts and resolv.conf of the
 * container, and what the container has at the paths of @shared. Makes the home of @account there. 0 or -errno; then
 * nothing but _exit() is left. */
int root_enter_helper(const HelperRoot *helper, char *const *shared, const Account *account);

/* After the step @pid was started: keeps the root that it has. Best effort: without, the next step makes one, too. */
void root_keep_helper(const Surroundings *surroundings, pid_t pid);

/* Closes what is kept of that root: the next step makes a new one. */
void root_forget_helper(HelperRoot *helper);

/* Makes a directory for @account, where nothing has its name, and what is missing above it. Best effort: the step says
 * what is wrong. */
void root_make_directory(const char *path, const Account *account);

/* --- terminal.c --- */

/* Opens a pseudo-terminal of that size which belongs to @account: ret[0] is the step's end, ret[1] the host's, the
 * master. 0 or -errno. */
int terminal_open(const Account *account, uint16_t rows, uint16_t columns, int ret[static 2]);

/* --- cancel.c: ending a step before its time --- */

/* Begins to end the step and all that it started in the foreground: its process group, its session, and what descends
 * from it. Without a /proc in the container, the process group alone. */
void step_cancel(const Surroundings *surroundings, Step *step);
/* Goes on with that. Returns true when nothing of the step is left. */
bool step_cancel_progress(const Surroundings *surroundings, Step *step);

/* --- group.c --- */

/* Moves this process to a control group of its own at the top of the container, where systemd has no unit: what
 * restarts, stops or kills units reaches neither the agent nor what it starts. Best effort. */
void group_enter_own(void);

/* As PID 1, before it executes systemd: moves all processes that are where it is itself, but not itself, to that group.
 * Best effort. */
void group_gather(void);

/* Moves this process to the control groups of process @pid. Best effort. */
void group_follow(const Surroundings *surroundings, pid_t pid);

/* --- server.c --- */

/* Tells the host, which waits until this container is ready, that the image's systemd cannot be executed, with the
 * reason @error (-errno). Waits for the host for some seconds. */
void server_refuse(int listen_fd, int error);

typedef struct ServerSetup {
        bool booted; /* this is not PID 1, which is the image's systemd or becomes it */
        /* Tells what became of the image's systemd (agent/init.h), for the host; negative: nothing does. The server's
         * own. */
        int notice_fd;
        const Surroundings *surroundings; /* the caller's; NULL: as they are now */
        /* As PID 1 of a container for one program, the one in here: starts it, and ends after it, but not before it
         * has answered the host, which waits until this container is ready. Negative: there is none. */
        int service_fd;
} ServerSetup;

#define SERVER_SETUP_NONE                                 \
        (ServerSetup) {                                   \
                .notice_fd = -EBADF, .service_fd = -EBADF \
        }

/* Serves @listen_fd until SIGTERM (or, as PID 1, the signal that asks an init to power off); if setup->booted, until
 * the container's systemd shuts down. Reaps orphans. Returns the exit status: that of the program in setup->service_fd,
 * or 128 and the signal that killed it. */
int server_run(int listen_fd, const ServerSetup *setup);
