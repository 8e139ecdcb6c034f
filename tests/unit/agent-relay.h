/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Included before everything else: where the relay under test finds systemd, and how long it waits for it. */
extern char systemd_socket[108];
#define INIT_PRIVATE_SOCKET systemd_socket
#define READY_TIMEOUT_USEC (300 * USEC_PER_MSEC)
#define AGENT_MARK systemd_socket
#define LATE_USEC (50 * USEC_PER_MSEC)
