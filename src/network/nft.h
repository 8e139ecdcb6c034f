/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"

/* Runs commands of nft(8), by libnftables, in a child process, so that neither the library nor its memory stays in
 * ours. @netns_fd is the network namespace that they are for; negative: ours. Either all of @text is carried out or
 * nothing. 0; -ELIBACC: libnftables is not installed; or another -errno, with *reterr_problem having the message of
 * nft. */
int nft_run(int netns_fd, const char *text, Problem *reterr_problem);

/* Does our network namespace have chain @chain in table @table of family inet? Returns 1 or 0; -ELIBACC: libmnl is not
 * installed; or another -errno. */
int nft_has_chain(const char *table, const char *chain);
