/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The variable that names the descriptor at which our library in systemd-nspawn waits for one of two answers, and what the
 * second of them sets for systemd-nspawn (docs/ENVIRONMENT.md in systemd's source). */
#define GATE_VARIABLE "NSPAWN_RUNNER_GATE"
#define GATE_GO 'g'
#define GATE_UNIFIED 'u'
#define GATE_UNIFIED_VARIABLE "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY"
