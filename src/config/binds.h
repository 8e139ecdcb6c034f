/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "config/settings.h"

/* The settings `bind` and `bind_ro`: parts of an item, and which items may be used together. All of it looks at text only;
 * container/bind.h looks at the host. */

/* These return the two parts of "SOURCE[:TARGET]", a text that text_is_bind() has checked: the source as a new string,
 * to be freed (NULL: memory ran out); the target as a part of @bind. */
char *bind_source(const char *bind);
const char *bind_target(const char *bind);

/* May the binds of @settings be used together, and beside our own directories? 0; -EINVAL with the text of
 * @reterr_problem set, but not its place; or -ENOMEM. It refuses
 *  - two with the same target: one would hide the other;
 *  - a source below a writable source: a job could put a symlink there, and the next job would get what it points to;
 *  - a target below another in which jobs may write: a job could put a symlink there, and the bind would be mounted where it
 *    points to;
 *  - a target where systemd-nspawn or the agent work (tree_place_is_reserved());
 *  - a source in root_dir or runtime_dir, which have other jobs' files and our state;
 *  - a writable source that contains one of these or definitions_dir. */
int binds_check(const Settings *settings, Problem *reterr_problem);

/* The same for two kinds of jobs, with @ours and with @theirs: no source of one may be below a writable one of the other,
 * and no target of one below a target in which the other may write. @whose names the jobs with @theirs in a few words. */
int binds_check_between(const Settings *ours, const Settings *theirs, const char *whose, Problem *reterr_problem);
