/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "command/command.h"
#include "maintain/push-image.h"

/* What the commands that take images elsewhere share. They log what goes wrong: 0; 128 + the number of the
 * signal that stopped them; or -errno. */

/* Takes image @name to the registry, as @reference. */
int push_logged(const Invocation *invocation, const char *name, const char *reference);

/* push_image() or export_image(). */
typedef int (*PushWork)(const ImagePush *push, const char *target, Problem *reterr_problem);

/* Holds image @name and does the work, with progress on stderr; @what says in messages what is done to the image
 * ("pushed"). *ret_seconds is how long it took. */
int push_work_logged(const Invocation *invocation, const char *name, const char *what, PushWork work,
                     const char *target, unsigned long long *ret_seconds);
