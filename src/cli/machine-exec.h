/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Ansible takes the name of a program, but no arguments. Under that name, every word of @argv belongs to the command
 * machine-exec. Returns the command line to parse (@argv itself, or one that lives as long as the process), or NULL
 * when memory ran out. */
char **machine_exec_expand_name(int *argc, char **argv);
