/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/problem.h"
#include "container/machine.h"

/* Finds the programs of the host that the container of a job gets (container/tools.h), as the machine's settings say,
 * and puts their real paths into @machine. @tree_fd is the image, @helper_fd the helper's (negative: there is none).
 * What `auto` does not find is left out; what a setting names must be there. If our parent process has GitLab
 * Runner's name, `auto` takes its program. 0; -EINVAL with @reterr_problem saying which setting names a program that
 * cannot be used; or -errno. */
int tools_plan(Machine *machine, int tree_fd, int helper_fd, Problem *reterr_problem);

/* The process of GitLab Runner that started this one. 0: another program did, or it cannot be told. */
pid_t tools_calling_runner(void);

/* Where `auto` finds the static bash; NULL: nowhere. Static. */
const char *tools_static_bash(void);

/* Why file @path cannot be what jobs are to run, or NULL. Static text. */
const char *tools_program_problem(const char *path);
