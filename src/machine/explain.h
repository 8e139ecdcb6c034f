/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/start.h"

/* What went wrong, as a sentence without a full stop for a person: to be freed, NULL when memory ran out. */

/* Why plan_machine(), plan_seccomp() or plan_supervise_command() failed with @error (-errno). @unknown is what
 * plan_seccomp() set, or NULL. */
char *explain_plan(const Settings *settings, const char *image, int error, const char *unknown);

/* Why @program of the image of @machine cannot be executed, @error (positive errno) being what the kernel said. */
char *explain_exec(const Machine *machine, const char *program, int error);

/* Why machine_start() failed with @error at @step. */
char *explain_start(const Settings *settings, const Machine *machine, const MachineDirectory *directory, StartStep step,
                    int error);
