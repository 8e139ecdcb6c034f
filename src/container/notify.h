/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Tells the systemd that started this process (sd_notify(3)) @state, lines such as "READY=1". Without $NOTIFY_SOCKET
 * nobody wants to know. 0 or -errno: then systemd goes on waiting. */
int notify_systemd(const char *state);
