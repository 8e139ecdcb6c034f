/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "cli/command.h"
#include "project/checkout.h"

/* What `exec` was asked for, made into what an evaluation is told. */
typedef struct ExecRequest {
        Arena arena; /* of everything here */
        Checkout *checkout;
        IncludeRoot include_roots[COMMAND_GIVEN_MAX + 1];
        PipelineProvider provider;
        Variables predefined, project, pipeline;
        PipelineRequest request;
} ExecRequest;

/* Fills in @ret (zeroed, and done with exec_request_done() in any case) from options and working copy. 0; a negative errno or
 * COMMAND_MISUSED, logged. */
int exec_request_init(const Invocation *invocation, ExecRequest *ret);
void exec_request_done(ExecRequest *request);
