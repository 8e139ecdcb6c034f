/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Ansible can be told the name of a program, not what to say to it: under that name, every word is the command's. Returns the
 * command line to parse (@argv itself, or one that lives as long as the process), or NULL when memory ran out. */
char **machine_exec_expand_name(int *argc, char **argv);
