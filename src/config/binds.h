/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "config/settings.h"

/* The settings `bind` and `bind_ro`: what an item says, and which items do not go together. All of it is about text:
 * nothing here looks at the host (container/bind.h does). */

/* The two parts of "SOURCE[:TARGET]", which text_is_bind() found right: the source as a new string (NULL: no memory), the
 * target as a part of @bind. */
char *bind_source(const char *bind);
const char *bind_target(const char *bind);

/* Is path @inner below directory @outer? Both are normalized and absolute. */
bool path_is_below(const char *inner, const char *outer);

/* Are all binds of @settings fine with each other and with the directories that are ours? 0; -EINVAL with
 * the text of @reterr_problem set, but not its place; or -ENOMEM. What is refused:
 *  - two with the same target: one would hide the other;
 *  - a source below a writable source: a job could put a symlink there, and the next job would get whatever it leads to;
 *  - a target below another, where a writable source lets jobs put a symlink: it would be mounted where that leads;
 *  - a target where systemd-nspawn or the agent work (tree_place_is_reserved());
 *  - a source in root_dir or runtime_dir: other jobs' files, and state of ours;
 *  - a writable source that has these or definitions_dir in it. */
int binds_check(const Settings *settings, Problem *reterr_problem);

/* The same for what jobs with @ours and jobs with @theirs share: no source of one may be below a writable one of the
 * other, nor a target of one where the other lets jobs put a symlink. @whose says in a few words whose the latter are. */
int binds_check_between(const Settings *ours, const Settings *theirs, const char *whose, Problem *reterr_problem);
