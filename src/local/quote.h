/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/arena.h"

/* Appends @word, quoted as GitLab Runner quotes words of its scripts: for bash ($'…'), or with @posix for any shell, as
 * it does with FF_POSIXLY_CORRECT_ESCAPES (double quotes). A word that needs no quotes gets none. */
void text_add_quoted(Text *text, const char *word, bool posix);
