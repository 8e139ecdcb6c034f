/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "local/sources-bundle.h"

/* A process that makes the sources of jobs while their containers are prepared. */
typedef struct SourcesMaker {
        pid_t pid;                /* 0: it has been waited for */
        int done_fd;              /* for poll(): POLLHUP when it is done */
        int bundle_fd, result_fd; /* files without a name */
} SourcesMaker;
#define SOURCES_MAKER_NONE                                                  \
        (SourcesMaker) {                                                    \
                .done_fd = -EBADF, .bundle_fd = -EBADF, .result_fd = -EBADF \
        }

/* Starts it; it ends with this process. 0, after which sources_maker_done() must be called; or -errno with what failed in
 * @reterr_problem. */
int sources_maker_start(const SourcesRequest *request, SourcesMaker *ret, Problem *reterr_problem);

/* Ends it, if it is still there. Children of this process that have the descriptors, too, keep them. */
void sources_maker_done(SourcesMaker *maker);

/* When it is done: how that went, also for children of the process that started it. *ret_empty as of sources_make(). 0,
 * or -errno with what failed in @reterr_problem. */
int sources_maker_result(const SourcesMaker *maker, char ***ret_empty, Problem *reterr_problem);
