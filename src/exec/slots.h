/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* How many jobs may run at the same time, in all pipelines of a run together (--jobs): a semaphore, which the processes of
 * child pipelines inherit. The first job of each pipeline needs no slot: it runs in the place of the job with 'trigger' that
 * its pipeline belongs to. So no pipeline waits for ever for slots that were lost with a process that was killed. */

/* Makes it for @n jobs, at least 1. Returns the descriptor, which is readable while there is a free slot, or -errno. */
int slots_make(unsigned n);

/* May one job more run, in a pipeline of which @n_running do? If it needs a slot, it has one then. */
bool slots_take(int fd, size_t n_running);

/* Of the @n jobs of a pipeline that ran, @n_left still do. */
void slots_give_back(int fd, size_t n, size_t n_left);
