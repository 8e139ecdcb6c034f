/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Name of our connection plugin of ansible. */
#define CONNECTION_NAME "nspawn_runner"

/* For each command, the plugin starts our program under this name, which must be beside the directory of the plugin, with
 * the container's directory in the variable below. The program then runs the hidden command `machine-exec`. */
#define CONNECTION_PROGRAM "nspawn-runner-machine-exec"
#define CONNECTION_VARIABLE "NSPAWN_RUNNER_MACHINE"

/* Writes the plugin into a directory. Returns 0 or -errno. */
int connection_write(int directory_fd);
