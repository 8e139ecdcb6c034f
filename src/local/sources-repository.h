/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "local/sources-bundle.h"

/* A repository of ours with the last commits of the working copy's. It is kept for later calls, until there is another
 * commit, or other tags or branches. As long as it is open, no other call removes anything in the same directory. */
typedef struct SourcesRepository {
        char *path;
        char *fresh; /* what it is called while it is being made */
        pid_t pid;   /* of the process that makes it; 0: none does */
        int lock_fd;
} SourcesRepository;
#define SOURCES_REPOSITORY_NONE   \
        (SourcesRepository) {     \
                .lock_fd = -EBADF \
        }

/* Finds it, or begins to make it; waits while another call has one open. 0 or -errno; in any case,
 * sources_repository_done() must be called. */
int sources_repository_begin(const SourcesRequest *request, SourcesRepository *repository);

/* Waits until it is whole. 0; -ENOENT: there is no git; or another -errno. */
int sources_repository_wait(const SourcesRequest *request, SourcesRepository *repository);

void sources_repository_done(SourcesRepository *repository);
#define _cleanup_sources_repository_ _cleanup_(sources_repository_done)
