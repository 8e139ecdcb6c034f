/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"
#include "machine/step.h"

/* Shells for a person, in a machine that runs. */

/* Are our standard input and output a terminal that we may use now, so that the shell gets one, too? */
bool shell_has_terminal(void);

/* The environment of such a shell: @base (NULL: none), the kind of terminal if it has one, and no history of what was typed
 * where jobs could read it. *ret is for strv_free(). 0 or -ENOMEM. */
int shell_environment(char *const *base, bool terminal, char ***ret);

/* Runs a shell in @machine with our standard input and output, and waits for its end: as @user (NULL: as the steps of
 * the machine), with the variables that the job's last script had, in the project's directory or else the user's
 * home. On a terminal, Ctrl-] three times within a second leaves it at once. Signals: as step_run(). 0 with the
 * outcome; -ECONNREFUSED: the machine does not run any more; or another -errno. */
int machine_shell(const Machine *machine, const MachineDirectory *directory, const char *user, StepOutcome *ret);
