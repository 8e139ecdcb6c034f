/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"

/* What services print, for the log of their job: with CI_DEBUG_SERVICES, and where one does not start. */

/* Gets a line without its end. The service may have put control characters into it. */
typedef void OnLine(const char *line);

/* Passes on what service @machine has printed since any process last called this, as whole lines that begin with
 * "[service:NAMES] ". With @thorough, also a last line without an end, and the journal of a service that booted its
 * systemd. Best effort. */
void service_log_copy(const Machine *machine, const MachineDirectory *directory, bool thorough, OnLine *on_line);

/* Passes on the last lines of its log, indented, below a heading. */
void service_log_end(const Machine *machine, const MachineDirectory *directory, OnLine *on_line);
