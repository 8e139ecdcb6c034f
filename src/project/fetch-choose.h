/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/request.h"

/* What a server has that a ref can mean: the lines of `git ls-remote`. @kind and @ref as in PipelineRoot. *ret_commit and
 * *ret_version (which may be NULL) are to be freed. 0; -ENOENT: there is no such thing; or -ENOMEM. */
int fetch_choose(char *lines, PipelineRootKind kind, const char *ref, char **ret_commit, char **ret_version);
/* Is @ref "~latest", or the beginning of a version, such as "1" and "1.2"? */
bool fetch_is_version(PipelineRootKind kind, const char *ref);
