/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "exec/select.h"

/* Runs the pipeline: 0: success, or it waits for somebody; 1: it failed; EXEC_CANCELLED; or -errno, logged. The pipeline's
 * arena->exhausted must be set. */
int exec_run(const ExecRun *run);
