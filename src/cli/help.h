/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdio.h>

#include "command/command.h"

/* All help is written from the tables of commands and settings. */
void help_print(FILE *stream);
void help_print_command(FILE *stream, const Command *command);
