/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "container/machine.h"

/* Programs of the host that a job's container gets, each as a single file that nobody inside can write to. As with
 * binds, `supervise` mounts them in the job's directory, and systemd-nspawn binds them from there. */

/* Below the job's directory: an entry for each tool of the container, called as the tool. */
#define TOOLS_DIRECTORY "tools"

typedef struct Tool {
        const char *name;
        const char *setting; /* that chooses it */
        const char *inside;  /* path in the container */
        size_t offset;       /* of the host's path in Machine */
} Tool;

/* Below the job's directory: where `supervise` mounts the root that GitLab's own stages run in, if the container has
 * one. */
#define HELPER_DIRECTORY "helper"

/* All there are; the last one has no name. */
extern const Tool tools[];

/* Path on the host; NULL: the container does not have it. */
const char *tool_source(const Tool *tool, const Machine *machine);

/* In the caller's own mount namespace: makes TOOLS_DIRECTORY in the job's directory, and mounts in it what the
 * container has. No symlink is followed: the plan names the real files. 0, or -errno with a sentence in
 * @reterr_problem. The mounts that were made then go with the namespace. */
int tools_mount(const Machine *machine, Problem *reterr_problem);
