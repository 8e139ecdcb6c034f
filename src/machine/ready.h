/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"

/* Whether a service of a job can be used. */
typedef enum ServiceState {
        SERVICE_STARTING,
        SERVICE_READY,
        SERVICE_ENDED, /* its container ended: MACHINE_FILE_ENDED says why */
} ServiceState;

/* Is somebody listening on one of the TCP ports @ports (decimal), in the network namespace that process @pid is in, for
 * connections from others than itself? The tables of the kernel say: nobody is bothered by connections that break off. */
bool service_is_listening(pid_t pid, char *const *ports);

/* How service @machine is: a booted one is ready when its target is reached and, where ports are known, somebody listens;
 * others when somebody listens. */
ServiceState service_state(const Machine *machine, const MachineDirectory *directory);
