/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "local/event.h"
#include "local/job.h"
#include "local/sources-maker.h"
#include "local/store.h"

/* Runs one job from beginning to end, as GitLab Runner does: the driver's stages in their order, and the files that go in and
 * come out. */

/* A job whose artifacts and dotenv variables another one gets. */
typedef struct WorkerSource {
        const LocalStore *store;
        const char *job;
} WorkerSource;

typedef struct WorkerSetup {
        LocalJobRequest job; /* without what the driver says about directories */
        const LocalStore *store;
        const WorkerSource *sources_of;
        size_t n_sources_of;
        int broker_fd; /* the first connection */
        int events_fd;
        int cancel_fd;               /* an eventfd: written to when the job is to end */
        const SourcesMaker *sources; /* or NULL: there are none */
        const char *top;             /* of the working copy */
        const char *artifacts;       /* a directory that they are copied to; or NULL */
        uint64_t files_bytes_max;    /* of the artifacts, and of each cache */
        bool has_commit;             /* and a repository is with them */
        bool committed;              /* the sources are those of the commit */
        bool shell;                  /* a shell for a person instead of the script; its output goes past events */
        bool keep_failed;            /* a failed job's container stays until somebody has looked at it */
} WorkerSetup;

/* Sends everything to events_fd, EVENT_ENDED last. Allocates in the pipeline's arena, and sets its `exhausted`. */
void worker_run(const WorkerSetup *setup);
