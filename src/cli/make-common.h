/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "command/command.h"
#include "definition/definition.h"
#include "maintain/make.h"

/* What the commands that make images share. */

/* The definition of image @name: 0; -ENOENT (not logged): it has none; or -errno, logged. */
int find_definition_logged(const Settings *settings, const char *name, Definition **ret);

/* The definition of image HELPER_IMAGE where there is none: a small one of @suite (NULL: of the host's own). 0 or -errno,
 * logged. */
int helper_definition_logged(const char *suite, Definition **ret);

/* The suite that image HELPER_IMAGE was made of without a definition, to be freed. 0; -ENOENT (not logged): there is no such
 * image; or -errno, not logged. */
int helper_suite(const Settings *settings, char **ret);

/* An empty definition of image @name, for images without one. *ret is for definition_free(). 0 or -ENOMEM. */
int new_definition(const char *name, Definition **ret);

/* Makes @suite (NULL: the host's own) the source of @definition, and says so. 0 or -errno, logged. */
int choose_suite_logged(Definition *definition, const char *suite);

/* Blocks SIGINT, SIGTERM and SIGHUP, and returns a descriptor that becomes readable when one of them comes; or
 * -errno, logged. Also ignores SIGPIPE. */
int open_cancel_fd_logged(void);

/* After -ECANCELED: the exit status of a command that a signal ended, 128 + the signal's number, which is read from @cancel_fd,
 * open_cancel_fd_logged()'s; or -ECANCELED if there is none. *ret_name is for messages: "SIGINT", or "a signal". */
int take_signal(int cancel_fd, const char **ret_name);

/* What an image that is there already means, also one that somebody else made while we waited: update it; fail; or all is
 * well. */
typedef enum MakeMode {
        MAKE_OR_UPDATE,
        MAKE_NEW,
        MAKE_MISSING,
} MakeMode;

/* make_image() for a command that has NO_WAIT_OPTION, with progress on stderr and failures logged. The result goes to
 * @ret; the problem of a failure was logged already. 0; 128 + the number of the signal that stopped it, logged; or -errno. */
int make_image_logged(const Invocation *invocation, const Definition *definition, MakeMode mode, int cancel_fd,
                      MakeResult *ret);
