/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stddef.h>

#include "base/macro.h"

/* An answer from the terminal; @by_default is what just Enter stands for. The end of the input is a "no", and so is a signal
 * that comes from @signal_fd: its number goes to *ret_signal, which is not touched otherwise. What is neither yes nor no is
 * asked again. */
bool ask_yes_or_no(const char *question, bool by_default, int signal_fd, int *ret_signal);

/* Reads a line from the terminal that is standard input, without showing it; @ret, of @size bytes, has it without its end.
 * 0; -EINTR: a signal came from @signal_fd, whose number is in *ret_signal; -ENODATA: the input ended; -E2BIG; or another
 * -errno. The terminal is as it was in any case. */
int ask_secret(const char *question, int signal_fd, char *ret, size_t size, int *ret_signal);
