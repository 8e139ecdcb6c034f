/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Sends @state, lines such as "READY=1", to the systemd that started this process (sd_notify(3)). Does nothing without
 * $NOTIFY_SOCKET. 0; or -errno, and systemd goes on waiting. */
int notify_systemd(const char *state);
