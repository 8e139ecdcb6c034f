/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "command/command.h"
#include "project/checkout.h"

/* .nspawn-runner-exec.yaml, in the home and at the top of the project: options for each call. The command line is stronger than
 * the project's file, and that is stronger than the home's. The project's file is part of a repository, which nobody trusts: it
 * names files and directories of the project only, and no option that does more than its jobs could. */

/* One of the two, as it was read. */
typedef struct ExecOptionsFile {
        const char *path;      /* for messages */
        const char *directory; /* that its paths begin at */
        const Value *map;      /* NULL: there is none */
        int root_fd;           /* the project's: nothing outside of it is read; else negative */
} ExecOptionsFile;

typedef struct ExecOptions {
        ExecOptionsFile home, own;
} ExecOptions;

typedef struct IncludeRoots {
        IncludeRoot *items;
        size_t n;
} IncludeRoots;

/* Reads and checks both files, and gives options that were not given on the command line their values; all of it is in
 * @arena. 0 or a negative errno, logged. */
int exec_options_read(Invocation *invocation, const Checkout *checkout, Arena *arena, ExecOptions *ret);

/* What a file says of these is added: to variables and inputs over what is there, to the roots behind what is there. 0
 * or a negative errno, logged. */
int exec_options_variables(const ExecOptionsFile *file, Variables *variables);
int exec_options_include_roots(Arena *arena, const ExecOptionsFile *file, IncludeRoots *roots);
void exec_options_inputs(Arena *arena, const ExecOptionsFile *file, Value *inputs);
