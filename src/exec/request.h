/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "exec/options.h"

/* What `exec` was asked for, made into what an evaluation is told. */
typedef struct ExecRequest {
        Arena arena; /* of everything here */
        Checkout *checkout;
        Fetch fetch;
        ExecOptions options;
        IncludeRoots include_roots;
        PipelineProvider provider;
        Variables predefined, project, pipeline;
        PipelineRequest request;
        uint64_t files_bytes_max; /* of each job's artifacts, and of each cache */
} ExecRequest;

/* Fills in @ret (zeroed, and done with exec_request_done() in any case) from options and working copy. Options that
 * were not given get the values that files of options have; these live as long as @ret. 0; a negative errno or
 * COMMAND_MISUSED, logged. */
int exec_request_init(Invocation *invocation, ExecRequest *ret);
void exec_request_done(ExecRequest *request);
