/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* `exec` as root consists of two parts. The broker keeps root's rights and calls the driver's stages, as GitLab
 * Runner does. Everything else (the repository, the configuration, archives, output) is done by processes without
 * rights, which send requests to it. To the broker these requests are hostile: it sets the owner in the job response
 * and the environment itself, and calls nothing but our own program. One SOCK_SEQPACKET connection stands for one
 * job. When it ends, for whatever reason, the job is cleaned up. */

/* In the environment of stages: the process that containers end with. */
#define LOCAL_OWNER_VARIABLE "NSPAWN_RUNNER_OWNER"
/* Beside it: for how long the container of a failed job stays, in microseconds. Without it, no container does. */
#define LOCAL_KEEP_VARIABLE "NSPAWN_RUNNER_KEEP_FAILED"

typedef enum BrokerAction {
        BROKER_CLIENT = 1, /* on the first connection only; with a connection for a job */
        BROKER_OPEN,       /* with the job response, in a sealed memory file */
        BROKER_CALL,   /* with stdin, stdout, stderr, and in such files the variables ("NAME=VALUE", each with a NUL)
                            * and a script */
        BROKER_SIGNAL, /* SIGTERM to the stage that runs */
} BrokerAction;

typedef enum BrokerStage {
        BROKER_CONFIG,
        BROKER_PREPARE,
        BROKER_RUN,     /* one argument: the stage's name */
        BROKER_STEP,    /* arguments of exec-step */
        BROKER_CLEANUP, /* removes the job in any case */
        BROKER_KEEP,    /* the same, but a container that failed may stay; prints the id of one that does */
} BrokerStage;

/* The argument of BROKER_STEP that starts a shell. */
#define BROKER_SHELL "shell"

#define BROKER_ARGUMENTS_BYTES_MAX ((size_t) 60000)

typedef struct BrokerRequest {
        uint32_t action, stage;
        uint32_t arguments_size; /* strings, each with a NUL */
        uint32_t unused;
        uint64_t file_bytes_max; /* of BROKER_STEP: no file that it writes may become larger; 0: no limit */
        char arguments[BROKER_ARGUMENTS_BYTES_MAX];
} BrokerRequest;

typedef enum BrokerEvent {
        BROKER_DONE = 1, /* the request: with status 0 or -errno; or the call: with its exit status */
        BROKER_CANCEL,   /* somebody wants the pipeline to end; status 2: at once */
} BrokerEvent;

typedef struct BrokerReply {
        uint32_t event;
        int32_t status;
        int32_t exit_code; /* of the script; -1: not known */
} BrokerReply;

#define BROKER_BUILD_FAILURE 1
#define BROKER_SYSTEM_FAILURE 2

/* Opens a connection for one job. Its descriptor, which is the caller's, or -errno. */
int broker_connect(int first_fd);

/* Sends one request; @fds are not closed. 0 or -errno. */
int broker_send(int fd, BrokerAction action, BrokerStage stage, char *const *arguments, const int *fds, size_t n_fds);
/* The same for BROKER_CALL with BROKER_STEP, which no file may outgrow that it writes: SIGXFSZ ends it then. */
int broker_send_step(int fd, char *const *arguments, uint64_t file_bytes_max, const int *fds, size_t n_fds);
/* Waits for the next event. 1 with *ret; 0: the broker is gone; or -errno. */
int broker_receive(int fd, BrokerReply *ret);
