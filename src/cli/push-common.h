/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "cli/command.h"
#include "cli/progress.h"
#include "maintain/push-image.h"

/* What the commands that take images elsewhere share. They log what goes wrong: 0; 128 + the number of the
 * signal that stopped them; or -errno. */

/* May image @name be read at all? */
int push_check_name(const char *name);

/* Takes image @name to the registry, as @reference. */
int push_logged(const Invocation *invocation, const char *name, const char *reference);

/* Says why image @name was not @what ("pushed"), after push_image() or export_image() returned @r. */
int push_failure(const char *what, const char *name, const Progress *progress, const Problem *problem, int cancel_fd,
                 int r);
