/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Whose repository git uses. Whoever made a directory, such as an archive, decides where its `.git` leads: another repository
 * of the same user would get into a job, and from there to whoever reads the job's log. */
typedef struct Foreign {
        char *problem;    /* why the repository is not that of the working copy; NULL: it is */
        char *alternates; /* a directory outside with objects that git reads, too; NULL: there is none */
} Foreign;

void foreign_done(Foreign *foreign);

/* Looks at what git finds for @directory, whose working copy begins at @top. Both are resolved. A repository outside of the
 * working copy counts as its own if it names that, as those of linked working copies and of submodules do. *ret is for
 * foreign_done(). 0, or -errno. */
int foreign_find(const char *directory, const char *top, Foreign *ret);
