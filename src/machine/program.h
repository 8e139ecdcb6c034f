/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"

/* Which program started a machine. After an upgrade it is another one than ours: its agent and its files may be those of
 * another version, which only that program knows. It is there as long as the machine's supervisor, which executes it. */

/* Notes in the machine's directory that it is ours. 0 or -errno. */
int program_note(const MachineDirectory *directory);

/* Becomes the program that started the machine, with the arguments and the environment that we were called with, if it is
 * another one than ours. Returns 0 if it is ours, or not known, or none of its processes lives; else -errno. */
int program_hand_over(const MachineDirectory *directory);
