/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "local/keeper.h"

/* Caches of a job, which stay for its next run and for other jobs with the same key. Problems with a cache are
 * reported in the log and fail no job. When caller_check() says that the
 * job is to end, no other cache is begun. */

/* Does the job have any? */
bool caches_any(const LocalJob *job);
void caches_restore(const Keeper *keeper);
void caches_save(const Keeper *keeper, bool success);
