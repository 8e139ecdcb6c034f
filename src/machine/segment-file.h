/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"
#include "network/hub.h"

/* How one supervisor tells others about the hub of its machine, in the machine's directory (MACHINE_FILE_NETWORK): the hub's
 * namespace has no name, but a number among the descriptors of the supervisor. */

/* Writes it, for this process. 0 or -errno. */
int segment_file_save(const MachineDirectory *directory, const Hub *hub);

/* The IPv4 address that number @number (network/block.h) has in the segment of the machine in @directory. Returns @buffer, or NULL
 * where there is none. */
const char *segment_file_address(const MachineDirectory *directory, unsigned number,
                                 char buffer[static IP_NETWORK_TEXT_MAX]);

/* Waits for the file in @directory, at most @timeout_usec, and joins the hub that it tells of. 0; -ETIMEDOUT: it does not come;
 * -ESRCH: the supervisor has ended; or another -errno. */
int segment_file_join(const MachineDirectory *directory, uint64_t timeout_usec, Hub *ret, Problem *reterr_problem);
