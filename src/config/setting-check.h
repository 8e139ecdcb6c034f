/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Checks of texts, for rows of the tables. */

/* The most bytes of runtime_dir: machine/directory.c checks that the paths of sockets below it are short enough. */
#define RUNTIME_DIR_MAX 50

/* Is @text not empty, and without control characters and Unicode's other line ends (U+0080 to U+009F, U+2028, U+2029)?
 * For text that goes to command lines, unit properties and logs. */
bool text_is_printable(const char *text);

bool text_is_absolute_path(const char *text); /* normalized, not "/" */
bool text_is_runtime_dir(const char *text);   /* the same, at most RUNTIME_DIR_MAX bytes */
bool text_is_storage(const char *text);       /* "auto", or the name of a driver */
bool text_is_image_name(const char *text);    /* or a reference of an image in a registry */
bool text_is_registry(const char *text);      /* HOST[:PORT], as references of images begin with */
bool text_is_image_glob(const char *text);    /* for fnmatch(3) */
bool text_is_shell(const char *text);         /* an absolute path, or a name without a slash */
bool text_is_helper_image(const char *text);  /* "auto", "none", or the name of an image */
bool text_is_program(const char *text);       /* "auto", "none", or an absolute path */
bool text_is_system_call(const char *text);   /* the name of a call, or of a group with "@"; it need not exist */
bool text_is_pull_policy(const char *text);
bool text_is_egress_rule(const char *text);
bool text_is_network_pool(const char *text); /* "auto", or a network of IPv4 that has room for jobs */
bool text_is_bind(const char *text);         /* SOURCE[:TARGET], both absolute and normalized */
