/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "exec/log.h"
#include "exec/page.h"

/* Prints what a run came to: a line for each job with its duration and why it failed or did not run, the tests that failed, and
 * the pipeline's own result. @tests may be NULL. 0 or -ENOMEM. */
int exec_summary_print(const ExecScreen *screen, const RunState *state, const ExecTry *tries, size_t n_tries,
                       uint64_t total_usec, const JunitSummary *tests);

/* Prints for each container that stays how to open a shell in it: @shell and the job's id. Nothing if there is none. */
void exec_summary_print_kept(const ExecScreen *screen, const RunState *state, const ExecTry *tries, size_t n_tries,
                             const char *shell);
