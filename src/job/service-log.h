/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"

/* What services print, for the log of their job: with CI_DEBUG_SERVICES, and where one does not start. */

/* Gets a line, which comes without its end. Control characters in it are the service's. */
typedef void OnLine(const char *line);

/* Tells what service @machine printed since the last call, by whichever process, as whole lines that begin with
 * "[service:NAMES] "; with @thorough also a last line that has no end yet, and what is in the journal of one that booted.
 * Best effort. */
void service_log_copy(const Machine *machine, const MachineDirectory *directory, bool thorough, OnLine *on_line);

/* Tells the last lines of its log. */
void service_log_end(const Machine *machine, const MachineDirectory *directory, OnLine *on_line);
