/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "command/command.h"

/* Makes image @name, which may be there only with @may_exist, by its definition or of @suite (NULL: what the definition
 * says, else the host's own), for a command that has NO_WAIT_OPTION. @cancel_fd is open_cancel_fd_logged()'s. 0; or
 * with nothing of the image left and logged: 128 + the number of the signal that stopped it, or -errno. */
int create_image_logged(const Invocation *invocation, const char *name, const char *suite, bool may_exist,
                        int cancel_fd);
