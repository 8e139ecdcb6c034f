/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "machine/directory.h"

/* What is in the file MACHINE_FILE_ENDED of a machine that the job itself ended. */
#define ENDED_BY_REBOOT "it was rebooted from inside, and a job's container is not started again"
#define ENDED_BY_POWER_OFF "it was switched off from inside"
/* The same of one that its time limit ended. */
#define ENDED_BY_TIME "the job's time limit is over"

/* Carries out the plan @machine: mounts its root in a mount namespace of this process, runs systemd-nspawn, and stays
 * its parent until the container has ended, by itself, by SIGTERM to this process, or by its time limit. While this
 * process lives it holds the locks on layer, image, and UID range; however it ends, the kernel drops them and the
 * mounts. @listen_fd, the agent's socket, is consumed: only the container keeps it. Why the machine ended is written
 * to the job's directory. Returns 0 when the container ended in order, 1 when systemd-nspawn failed, or -errno with
 * @reterr_problem, zero before, filled in. In any case, nothing runs any more. */
int supervise(const Machine *machine, const MachineDirectory *directory, int listen_fd, Problem *reterr_problem);
