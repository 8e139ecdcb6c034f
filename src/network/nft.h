/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"

/* Commands of nft(8), by libnftables, in a child process: neither the library nor what it needs stays in ours. @netns_fd:
 * the network namespace they are for; negative: ours. All of @text is carried out, or nothing. 0; -ELIBACC: no libnftables;
 * or -errno, with *reterr_problem saying what nft says. */
int nft_run(int netns_fd, const char *text, Problem *reterr_problem);

/* Whether chain @chain of table @table, of family inet, is there in our namespace: 1 or 0; -ELIBACC: no libmnl; or -errno. */
int nft_has_chain(const char *table, const char *chain);
