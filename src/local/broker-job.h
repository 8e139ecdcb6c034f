/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "local/broker-client.h"

/* One job of the broker's: its directory with what GitLab Runner would keep there, and the stage that runs. */
typedef struct BrokerJob {
        int directory_fd; /* locked; negative: not opened */
        char *directory;
        pid_t pid;
        int pidfd; /* of the stage that runs, or negative */
        BrokerStage stage;
        bool started; /* something was called that has to be cleaned up */
} BrokerJob;

#define BROKER_JOB_NONE                                  \
        (BrokerJob) {                                    \
                .directory_fd = -EBADF, .pidfd = -EBADF, \
        }

/* What all calls of stages have in common. */
typedef struct BrokerCalls {
        char *const *command; /* our own program with global options */
        uint64_t keep_usec;   /* how long the containers of failed jobs stay; 0: not at all */
} BrokerCalls;

/* Takes the job response from the sealed memory file @response_fd and replaces its owner: what a user runs here never gets
 * the cache or the working copy of a project. 0; -EBADMSG: it is no job response; -EPERM: the file is not sealed; or another
 * -errno. */
int broker_job_open(BrokerJob *job, const char *runtime_dir, int response_fd);
/* Starts a stage. @fds as of BROKER_CALL; NULL: it has no output. No file that it writes becomes larger than @file_bytes_max;
 * 0: no limit. 0; -EPERM: a file is not sealed; or another -errno. */
int broker_job_call(BrokerJob *job, const BrokerCalls *calls, BrokerStage stage, char *const *arguments, const int *fds,
                    uint64_t file_bytes_max);
/* Sends @signal (SIGTERM or SIGKILL) to all processes of the stage, except to `cleanup`, which must end
 * by itself. */
void broker_job_signal(const BrokerJob *job, int signal);
/* Call it when the stage has ended: @ret says how. */
void broker_job_reap(BrokerJob *job, BrokerReply *ret);
/* Removes the job's directory and closes everything. */
void broker_job_done(BrokerJob *job);

/* Cleans up jobs that killed brokers left. Best effort. */
void broker_jobs_collect(const char *runtime_dir, const BrokerCalls *calls);
