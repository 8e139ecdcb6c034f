/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* An answer from the terminal; @by_default is what just Enter stands for. The end of the input is a "no", and so is a signal
 * that comes from @signal_fd: its number goes to *ret_signal, which is not touched otherwise. What is neither yes nor no is
 * asked again. */
bool ask_yes_or_no(const char *question, bool by_default, int signal_fd, int *ret_signal);
