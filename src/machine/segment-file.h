/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"
#include "network/hub.h"

/* How a supervisor tells others where the hub of its machine is, by the file MACHINE_FILE_NETWORK in the machine's
 * directory: the hub's namespace has no name, only a number among the supervisor's descriptors. */

/* Writes the file for @hub, which this process has open. 0 or -errno. */
int segment_file_save(const MachineDirectory *directory, const Hub *hub);

/* The IPv4 address that number @number (network/block.h) has in the segment of the machine in @directory. Returns
 * @buffer, or NULL where there is none. */
const char *segment_file_address(const MachineDirectory *directory, unsigned number,
                                 char buffer[static IP_NETWORK_TEXT_MAX]);

/* Waits at most @timeout_usec for the file in @directory, and joins the hub that it names. 0; -ETIMEDOUT: there is no
 * file; -ESRCH: the supervisor has ended; or another -errno. */
int segment_file_join(const MachineDirectory *directory, uint64_t timeout_usec, Hub *ret, Problem *reterr_problem);

/* Ends what the host's kernel still has of the segment of the machine in @directory: connections that were left open. To be
 * called when none of its processes is left, nor of those that joined. Does nothing where there is no file, and for a
 * machine that has joined another one's. Best effort. */
void segment_file_forget(const MachineDirectory *directory);
