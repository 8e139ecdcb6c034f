/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "cli/command.h"
#include "definition/definition.h"
#include "maintain/make.h"

/* What the commands that make images share. */

/* The definition of image @name: 0; -ENOENT (not logged): it has none; or -errno, logged. */
int find_definition_logged(const Settings *settings, const char *name, Definition **ret);

/* A descriptor that becomes readable when SIGINT, SIGTERM or SIGHUP comes, which from here on do nothing else; or -errno,
 * logged. SIGPIPE is ignored, too. */
int open_cancel_fd_logged(void);

/* make_image() for a command that has NO_WAIT_OPTION, with its progress on stderr and failures logged; what came of it
 * goes to @ret, whose problem (of a failure) was told already. 0 or -errno. */
int make_image_logged(const Invocation *invocation, const Definition *definition, bool only_new, int cancel_fd,
                      MakeResult *ret);
