/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"

/* What services print, in the log of their job: with CI_DEBUG_SERVICES, and where one does not start. */

/* Prints what service @machine printed since the last call, by whichever process, as whole lines that begin with
 * "[service:NAMES] "; with @thorough also a last line that has no end yet, and what is in the journal of one that booted.
 * Best effort. */
void service_log_copy(const Machine *machine, const MachineDirectory *directory, bool thorough);

/* Prints the last lines of its log. */
void service_log_end(const Machine *machine, const MachineDirectory *directory);
