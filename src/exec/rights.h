/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "command/command.h"

/* The user as whom `exec` reads a repository. */
typedef struct ExecUser {
        bool other; /* than who we are */
        uid_t uid;
        gid_t gid;
} ExecUser;

/* The user who called sudo; or the owner of the directory, for a root shell. */
ExecUser exec_user(const Invocation *invocation);

/* Becomes that user for good, if it is another one, and ends with the parent from then on. 0 or -errno, logged. */
int exec_become(const ExecUser *user);
