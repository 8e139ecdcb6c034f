/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"

/* Whether a service of a job can be used. */
typedef enum ServiceState {
        SERVICE_STARTING,
        SERVICE_READY,
        SERVICE_ENDED,     /* its container ended: MACHINE_FILE_ENDED says why */
        SERVICE_CANCELLED, /* a signal came while its systemd was asked (machine/step.h) */
} ServiceState;

/* In the network namespace of process @pid, does any process listen on one of the TCP ports @ports (decimal), on more
 * than the loopback address? This is read from the kernel's tables, so the service notices nothing. */
bool service_is_listening(pid_t pid, char *const *ports);

/* The state of service @machine. A booted one is ready when its target is reached and, if ports are known, something
 * listens; others when something listens. Its systemd may never answer: that takes about @timeout_usec, and counts as
 * starting. */
ServiceState service_state(const Machine *machine, const MachineDirectory *directory, uint64_t timeout_usec);
