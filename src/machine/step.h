/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "container/machine.h"
#include "wire/wire.h"

/* Runs one script or command in a container, through its agent. */

typedef enum StepResult {
        STEP_EXITED,       /* see exited */
        STEP_NO_SHELL,     /* the program could not be executed: see error */
        STEP_NO_USER,      /* the image has no such user: see error */
        STEP_NO_DIRECTORY, /* the directory can be neither entered nor made: see error */
        STEP_NO_HELPER,    /* the helper's root cannot be entered: see error */
        STEP_FAILED,       /* the agent could not start it: see error */
        STEP_MACHINE_GONE, /* the container ended */
        STEP_CANCELLED,    /* SIGTERM, SIGINT, SIGQUIT or SIGHUP came, or its time was over; the step has ended, or did
                            * not end in time */
} StepResult;

typedef struct StepOutcome {
        StepResult result;
        WireExited exited;
        int error;         /* positive errno */
        int signal;        /* that cancelled; SIGALRM: its time was over */
        bool is_bash;      /* the program that was started, by its name */
        bool guessed;      /* the agent was killed, most likely together with the step: exited is a guess */
        WireNotice notice; /* why the image's systemd could not be started meanwhile, the last reason; kind 0: none */
} StepOutcome;

/* What to run. Descriptors stay the caller's. */
typedef struct StepRequest {
        char *const *argv;        /* as in WireExec */
        char *const *environment; /* "NAME=VALUE"s over the agent's own, or NULL */
        const char *user;         /* USER[:GROUP] of the image; NULL: root */
        const char *directory;    /* NULL: home */
        char *const *directories; /* made for the user if they are not there, or NULL */
        bool in_helper;           /* it runs in the helper's root */
        char *const *shared;      /* paths of the container that the helper's root has, too; or NULL */
        int script_fd;            /* sealed copy of a script, the last argument; negative: none */
        int stdin_fd;             /* copied into the step's stdin as it comes; negative: /dev/null */
        int stdout_fd, stderr_fd; /* where its output goes, if there is no on_line */
        /* Gets both outputs, line by line, each without its end; NULL: nobody wants lines. */
        void (*on_line)(void *userdata, const char *line);
        void *userdata;
        /* The step gets a pseudo-terminal of the container, and all is copied between it and stdin_fd and stdout_fd.
         * These are a terminal, which is in raw mode meanwhile: the step's has its size, and follows it. Whatever the
         * container does, three times Ctrl-] within a second cancel the step as SIGHUP does. */
        bool terminal;
        int variables_fd; /* "NAME=VALUE"s, each with its end, that the agent is to keep (WireExec); negative: none */
        bool with_variables; /* the step gets those that the agent has */
        uint64_t kill_timeout_usec;
        uint64_t timeout_usec; /* after which it is cancelled; 0: it has no limit */
        const char *machine;   /* the job's directory: to ask whether the container still runs; NULL: do not ask */
} StepRequest;

/* With the user, directory and environment of an image; nothing on stdin; output to our own. */
#define STEP_REQUEST_PLAIN                                                                                       \
        (StepRequest) {                                                                                          \
                .script_fd = -EBADF, .stdin_fd = -EBADF, .stdout_fd = STDOUT_FILENO, .stderr_fd = STDERR_FILENO, \
                .variables_fd = -EBADF                                                                           \
        }

/* Runs @request over connection @socket_fd and copies input and output, until the step has ended and everything that
 * it wrote is delivered. If the reader of the output closes it, the step goes on. Blocks SIGTERM, SIGINT, SIGQUIT and
 * SIGHUP from here on; each of them cancels the step. If a step kills the agent, which it can where that is not PID
 * 1, this waits for the end of the program itself. Returns 0 with the outcome; -EMSGSIZE for arguments and
 * environment of more than 64 KiB or 256 strings; or -errno. */
int step_run(int socket_fd, const StepRequest *request, StepOutcome *ret);

/* The exit status for a command that ran @outcome's program. As in shells, 128 and the signal's number if it was
 * killed or cancelled; -1: there is none. */
int step_exit_status(const StepOutcome *outcome);
