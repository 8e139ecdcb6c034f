/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stddef.h>

#include "base/macro.h"

/* Asks a question on the terminal. Just Enter means @by_default; the end of the input means "no", and so does a
 * signal from @signal_fd, whose number goes to *ret_signal (else untouched). Other answers are asked for again. */
bool ask_yes_or_no(const char *question, bool by_default, int signal_fd, int *ret_signal);

/* Reads a line from the terminal that is standard input, without showing it, into @ret, of @size bytes, without its
 * end. 0; -EINTR: a signal came from @signal_fd, its number is in *ret_signal; -ENODATA: the input ended; -E2BIG: the
 * line is too long; or another -errno. In any case the terminal is as it was before. */
int ask_secret(const char *question, int signal_fd, char *ret, size_t size, int *ret_signal);
