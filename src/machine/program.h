/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"

/* The program that started a machine. After an upgrade it is not ours: its agent and files may be of another version,
 * which only that program understands. It is there as long as the machine's supervisor, which executes it. */

/* Notes our own program in the machine's directory. 0 or -errno. */
int program_note(const MachineDirectory *directory);

/* If another program than ours started the machine, executes that one with our own arguments and environment. Returns
 * 0 if it was ours, if it is not known, or if none of its processes lives; else -errno. */
int program_hand_over(const MachineDirectory *directory);
