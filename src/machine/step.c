/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Runs one script or command through the agent, and copies its input and output. Called by `run`, `exec-step` and
 * machine-exec, by image-machine.c and shell.c, and by whatever asks something inside: `logs`, job/service-log.c and
 * ready.c. The agent may have been replaced by the job: its messages and descriptors are checked, and nothing that it
 * does can make this wait for ever on a cancelled step. */

#include "machine/step.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/process.h"
#include "container/channel.h"
#include "machine/stream.h"
#include "machine/terminal.h"

/* A cancelled step should be dead after kill_timeout. How much longer to wait for the agent to say so. */
#define CANCEL_MARGIN_USEC (2 * USEC_PER_SEC)

/* How long what a step wrote last to its terminal is copied, if the terminal never pauses. */
#define LAST_WORDS_USEC (2 * USEC_PER_SEC)

/* How long the container's systemd may take to start the agent again, and to reap a process that has ended. */
#define AGENT_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define REAPED_TIMEOUT_USEC (5 * USEC_PER_SEC)

typedef struct Run {
        int socket_fd, signal_fd;
        int terminal_fd; /* ours, whose size is the step's; negative: it has none */
        int pid_fd;      /* of the program, or negative */
        Stream streams[2];
        Lines lines[2]; /* the targets of both, if lines are asked for */
        Input input;
        bool started, ended, cancelled;
        bool agent_gone;   /* the connection broke */
        uint64_t deadline; /* when cancelled */
        uint64_t limit;    /* until when it may run; USEC_INFINITY: no matter */
        uint64_t kill_timeout_usec;
        StepOutcome outcome;
} Run;

static void run_done(Run *run) {
        closep(&run->signal_fd);
        closep(&run->pid_fd);
        for (size_t i = 0; i < 2; i++)
                stream_done(&run->streams[i]);
        input_done(&run->input);
}

/* Opens a pipe again, so that it has file flags of its own: with a duplicated descriptor, whoever has the original
 * could clear O_NONBLOCK and make us wait. Returns the descriptor or -errno. */
static int open_pipe(int fd, int flags) {
        struct stat st;

        /* A pipe cannot make us hang or do harm; anything else a hostile agent could pass might. */
        if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
                return -EBADMSG;
        return fd_reopen(fd, flags | O_NONBLOCK);
}

/* The master of the step's terminal. It is not opened again, which would make another one: stream.c is on its guard. */
static int take_terminal(Run *run, WireMessage *message) {
        int r = terminal_check_master(message->fds[0]);
        if (r < 0)
                return r;
        r = fd_set_nonblock(message->fds[0], true);
        if (r < 0)
                return r;
        int fd = fd_duplicate(message->fds[0]);
        if (fd < 0)
                return fd;
        run->input.target_fd = fd;
        run->streams[0].source_fd = TAKE_FD(message->fds[0]);
        terminal_copy_size(run->terminal_fd, fd); /* it may have changed meanwhile */
        return 0;
}

static int take_pipes(Run *run, WireMessage *message) {
        for (size_t i = 0; i < 2; i++) {
                int fd = open_pipe(message->fds[i], O_RDONLY);
                if (fd < 0)
                        return fd;
                run->streams[i].source_fd = fd;
        }
        if (run->input.source_fd < 0)
                return 0;
        int fd = open_pipe(message->fds[2], O_WRONLY);
        if (fd < 0 && fd != -ENXIO) /* that is: nobody reads it any more */
                return fd;
        run->input.target_fd = fd;
        return 0;
}

static int take_started(Run *run, WireMessage *message) {
        size_t n_pipes = run->terminal_fd >= 0 ? 1 : run->input.source_fd >= 0 ? 3 : 2;
        WireStarted started;

        if (wire_parse_started(message, &started) < 0 || message->n_fds < n_pipes || message->n_fds > n_pipes + 1)
                return -EBADMSG;
        if (message->n_fds > n_pipes) {
                if (!fd_is_pidfd(message->fds[n_pipes]))
                        return -EBADMSG;
                run->pid_fd = TAKE_FD(message->fds[n_pipes]);
        }
        run->outcome.is_bash = started.is_bash;
        int r = run->terminal_fd >= 0 ? take_terminal(run, message) : take_pipes(run, message);
        if (r < 0)
                return r;
        run->started = true;
        return 0;
}

static const StepResult failed_results[_WIRE_CAUSE_MAX] = {
        [WIRE_CAUSE_AGENT] = STEP_FAILED,     [WIRE_CAUSE_SHELL] = STEP_NO_SHELL,
        [WIRE_CAUSE_USER] = STEP_NO_USER,     [WIRE_CAUSE_DIRECTORY] = STEP_NO_DIRECTORY,
        [WIRE_CAUSE_HELPER] = STEP_NO_HELPER,
};

static int handle_message(Run *run, WireMessage *message) {
        WireFailed failed;
        WireNotice notice;
        int r;

        switch (message->type) {
        case WIRE_STARTED:
                return run->started ? -EBADMSG : take_started(run, message);
        case WIRE_EXITED:
                if (!run->started)
                        return -EBADMSG;
                r = wire_parse_exited(message, &run->outcome.exited);
                if (r < 0)
                        return r;
                run->outcome.result = run->cancelled ? STEP_CANCELLED : STEP_EXITED;
                run->ended = true;
                return 0;
        case WIRE_FAILED:
                r = wire_parse_failed(message, &failed);
                if (r < 0)
                        return r;
                run->outcome.result = failed_results[failed.cause];
                run->outcome.error = failed.error;
                run->ended = true;
                return 0;
        case WIRE_NOTICE:
                r = wire_parse_notice(message, &notice);
                if (r < 0)
                        return r;
                run->outcome.notice = notice;
                return 0;
        default:
                return -EBADMSG;
        }
}

static int receive(Run *run) {
        static WireMessage message; /* on the stack, the compiler would touch all its pages */

        int r = run->started ? wire_receive_plain(run->socket_fd, &message) : wire_receive(run->socket_fd, &message);
        if (r == -EAGAIN)
                return 0;
        if (r <= 0) {
                run->agent_gone = true;
                run->outcome.result = run->cancelled ? STEP_CANCELLED : STEP_MACHINE_GONE;
                run->outcome.error = r < 0 ? -r : ECONNRESET;
                /* Perhaps only the agent was killed, and the program goes on. */
                run->ended = run->cancelled || run->pid_fd < 0;
                return 0;
        }
        r = handle_message(run, &message);
        wire_message_done(&message);
        return r;
}

static void cancel(Run *run, int signal) {
        if (run->cancelled) {
                if (run->outcome.signal == SIGALRM) /* a person's wish counts for more than a limit */
                        run->outcome.signal = signal;
                return;
        }
        run->cancelled = true;
        run->outcome.signal = signal;
        run->deadline = run->kill_timeout_usec < USEC_INFINITY - CANCEL_MARGIN_USEC ?
                                clock_deadline(run->kill_timeout_usec + CANCEL_MARGIN_USEC) :
                                USEC_INFINITY;
        if (run->agent_gone) /* there is nobody to end it but cleanup */
                run->ended = true;
        else
                (void) wire_send(run->socket_fd, WIRE_KILL, NULL, 0, NULL, 0);
        /* Interactive shells ignore SIGTERM, but end when the line is hung up. */
        if (run->terminal_fd >= 0) {
                input_close(&run->input);
                stream_close(&run->streams[0]);
        }
}

/* Ends the waiting: a cancelled step did not end in time, or nobody reads the last output of a terminal. */
static void give_up(Run *run) {
        if (run->cancelled)
                run->outcome.result = STEP_CANCELLED;
        run->ended = true;
        stream_close(&run->streams[0]);
}

static void take_signal(Run *run) {
        struct signalfd_siginfo info;

        if (read(run->signal_fd, &info, sizeof(info)) != sizeof(info))
                return;
        if (info.ssi_signo == SIGWINCH)
                terminal_copy_size(run->terminal_fd, run->streams[0].source_fd);
        else
                cancel(run, (int) info.ssi_signo);
}

/* As poll() has found the step's input, and ours. */
static void copy_input(Run *run, bool writable, bool readable) {
        Input *input = &run->input;

        if (writable)
                input_write(input);
        if (readable && input->target_fd >= 0)
                input_read(input);
        if (input->left)
                cancel(run, SIGHUP);
        if (input->ended && run->terminal_fd >= 0) /* whoever typed is gone */
                stream_close(&run->streams[0]);
}

/* Waits for something and does it. 0 or -errno. */
static int turn(Run *run) {
        Input *input = &run->input;
        bool waits = input->target_fd >= 0 && input->rest.size > 0;
        struct pollfd pollfds[7] = {
                [2] = { .fd = run->ended || run->agent_gone ? -EBADF : run->socket_fd, .events = POLLIN },
                [3] = { .fd = run->signal_fd, .events = POLLIN },
                [4] = { .fd = waits ? input->target_fd : -EBADF, .events = POLLOUT },
                [6] = { .fd = input->target_fd < 0 || (waits && !input->terminal) ? -EBADF : input->source_fd,
                        .events = POLLIN },
                [5] = { .fd = run->agent_gone && !run->ended ? run->pid_fd : -EBADF, .events = POLLIN },
        };
        for (size_t i = 0; i < 2; i++) {
                const Stream *stream = &run->streams[i];

                pollfds[i] = stream->blocked ? (struct pollfd){ .fd = stream->target_fd, .events = POLLOUT } :
                                               (struct pollfd){ .fd = stream->source_fd, .events = POLLIN };
        }
        int n = poll(pollfds, ELEMENTSOF(pollfds), clock_poll_timeout(MIN(run->deadline, run->limit)));

        if (n < 0)
                return errno == EINTR ? 0 : -errno;
        if (clock_now_usec() >= run->limit) {
                run->limit = USEC_INFINITY;
                cancel(run, SIGALRM);
                return 0;
        }
        if (n == 0) {
                give_up(run);
                return 0;
        }
        if (pollfds[3].revents)
                take_signal(run);
        for (size_t i = 0; i < 2; i++)
                if (pollfds[i].revents)
                        stream_copy(&run->streams[i]);
        copy_input(run, pollfds[4].revents, pollfds[6].revents);
        if (pollfds[5].revents)
                run->ended = true;
        return pollfds[2].revents ? receive(run) : 0;
}

/* Delivers the rest of the output, as fast as the reader takes it. A cancellation ends this. */
static int finish(Run *run) {
        input_close(&run->input);
        for (size_t i = 0; i < 2; i++)
                stream_finish(&run->streams[i]);
        while (!run->cancelled && (run->streams[0].source_fd >= 0 || run->streams[1].source_fd >= 0)) {
                if (run->terminal_fd >= 0)
                        run->deadline = clock_deadline(LAST_WORDS_USEC);
                int r = turn(run);
                if (r < 0)
                        return r;
        }
        if (run->cancelled)
                run->outcome.result = STEP_CANCELLED;
        return 0;
}

/* Does the machine live, although its agent was killed? The container's systemd starts another agent, which answers. */
static bool machine_lives(const Run *run, const char *machine) {
        _cleanup_close_ int socket_fd = machine ? channel_connect_within(machine, run->signal_fd, AGENT_TIMEOUT_USEC) :
                                                  -EBADF;

        return socket_fd >= 0 && channel_wait_ready(socket_fd, run->signal_fd, AGENT_TIMEOUT_USEC, false) >= 0;
}

/* Finds out how the program ended if its agent was killed before it could say so. */
static void settle(Run *run, const char *machine) {
        StepOutcome *outcome = &run->outcome;
        int status;

        if (outcome->result != STEP_MACHINE_GONE || !machine_lives(run, machine))
                return;
        if (!run->started) {
                outcome->result = STEP_FAILED;
                return;
        }
        outcome->result = STEP_EXITED;
        if (run->pid_fd < 0 || pidfd_exit_status(run->pid_fd, REAPED_TIMEOUT_USEC, &status) < 0) {
                outcome->guessed = true;
                outcome->exited = (WireExited){ .code = CLD_KILLED, .status = SIGKILL };
        } else if (WIFSIGNALED(status)) {
                outcome->exited = (WireExited){ .code = WCOREDUMP(status) ? CLD_DUMPED : CLD_KILLED,
                                                .status = WTERMSIG(status) };
        } else {
                outcome->exited = (WireExited){ .code = CLD_EXITED, .status = WEXITSTATUS(status) };
        }
}

static int catch_signals(bool terminal) {
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGQUIT);
        sigaddset(&mask, SIGHUP);
        if (terminal)
                sigaddset(&mask, SIGWINCH);
        (void) signal(SIGPIPE, SIG_IGN);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        int fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
        return fd < 0 ? -errno : fd;
}

/* Everything that is typed goes to the step. */
static int use_terminal(Run *run, WireExec *exec, Terminal *terminal) {
        terminal_size(run->terminal_fd, &exec->rows, &exec->columns);
        run->input.terminal = true;
        int r = stream_terminal(&run->streams[0]);
        return r < 0 ? r : terminal_begin(run->terminal_fd, terminal);
}

static int begin(Run *run, const StepRequest *request, WireExec *exec, Terminal *terminal) {
        for (size_t i = 0; request->on_line && i < 2; i++) {
                run->lines[i] = (Lines){ .on_line = request->on_line, .userdata = request->userdata };
                run->streams[i] = stream_to_lines(&run->lines[i]);
        }
        int r = request->terminal ? use_terminal(run, exec, terminal) : 0;
        return r < 0 ? r : input_begin(&run->input);
}

static int copy_until_end(Run *run) {
        while (!run->ended) {
                int r = turn(run);
                if (r < 0)
                        return r;
        }
        return finish(run);
}

int step_run(int socket_fd, const StepRequest *request, StepOutcome *ret) {
        _cleanup_terminal_ Terminal terminal = TERMINAL_NONE;
        Brief brief;
        WireExec exec = {
                .argv = (char **) request->argv,
                .environment = (char **) request->environment,
                .user = request->user,
                .directory = request->directory,
                .directories = (char **) request->directories,
                .in_helper = request->in_helper,
                .shared = (char **) request->shared,
                .wants_stdin = request->stdin_fd >= 0 && !request->terminal,
                .wants_terminal = request->terminal,
                .has_variables = request->variables_fd >= 0,
                .wants_variables = request->with_variables,
                .kill_timeout_msec = (uint32_t) MIN(request->kill_timeout_usec / USEC_PER_MSEC, UINT32_MAX),
        };
        _cleanup_(run_done) Run run = {
                .socket_fd = socket_fd,
                .signal_fd = catch_signals(request->terminal),
                .terminal_fd = request->terminal ? request->stdin_fd : -EBADF,
                .pid_fd = -EBADF,
                .streams = { stream_to(request->stdout_fd), stream_to(request->stderr_fd) },
                .input = { .source_fd = request->stdin_fd, .target_fd = -EBADF },
                .deadline = USEC_INFINITY,
                .limit = request->timeout_usec > 0 ? clock_deadline(request->timeout_usec) : USEC_INFINITY,
                .kill_timeout_usec = request->kill_timeout_usec,
        };

        if (run.signal_fd < 0)
                return run.signal_fd;
        int r = begin(&run, request, &exec, &terminal);
        if (r < 0)
                return r;
        r = wire_send_exec(socket_fd, &exec, request->script_fd, request->variables_fd);
        if (r == -EPIPE || r == -ECONNRESET) {
                run.outcome = (StepOutcome){ .result = STEP_MACHINE_GONE, .error = -r };
                run.ended = true;
        } else if (r < 0)
                return r;
        brief_begin(&brief);
        r = copy_until_end(&run);
        brief_end(&brief);
        terminal_end(&terminal);
        if (r < 0)
                return r;
        settle(&run, request->machine);
        *ret = run.outcome;
        return 0;
}

int step_exit_status(const StepOutcome *outcome) {
        if (outcome->result == STEP_EXITED)
                return outcome->exited.code == CLD_EXITED ? outcome->exited.status : 128 + outcome->exited.status;
        return outcome->result == STEP_CANCELLED ? 128 + outcome->signal : -1;
}
