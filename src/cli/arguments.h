/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "command/command.h"

/* What the words of a command line mean, by the tables of commands.c. */
typedef struct Arguments {
        bool help, version;
        unsigned verbosity;      /* 1: --verbose, 2: --debug */
        bool quiet;              /* no messages, unless verbosity is not 0 */
        const char *config_file; /* or NULL */
        const char *root;        /* or NULL */
        Invocation invocation;   /* its command is NULL where none was named */
        char problem[256];       /* why parsing failed, without a program's name before it */
} Arguments;

/* Reads @argv, which must outlive @ret; the words that are not options move to its front. Options, those of all
 * commands too, may stand before a command's name and behind it, but only the global ones before it; "--" ends them.
 * Returns 0, or -EINVAL with @ret->problem, and with the command if it was found by then: for whose help to name and
 * whose exit status to use. Neither --help nor --version nor a missing command is an error, and with --help nothing
 * is said about the number of arguments. */
int arguments_parse(int argc, char **argv, Arguments *ret);
