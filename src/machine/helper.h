/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/root.h"

/* The helper's root: a throw-away copy of another image, which GitLab's own stages run in where the job's image lacks what
 * they need. It is mounted below the machine's directory; systemd-nspawn binds it into the container, and the agent makes it
 * the root of single steps (agent/root.c). */

/* How much GitLab's stages may write in it, outside of the job's own directories: a home, settings of git. */
#define HELPER_BYTES_MAX (UINT64_C(256) << 20)

/* After machine_root_mount(), if the plan names a helper: holds that generation, as long as @root, and mounts it with
 * the same users. 0; or -errno with @reterr_problem filled. */
int helper_mount(MachineRoot *root, Problem *reterr_problem);
