/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Is @stage, the argument that GitLab Runner calls `run` with, a stage whose script GitLab Runner writes by itself, so
 * that it runs only GitLab Runner's commands and none of the job's? False for NULL, and for names that are not known.
 * The names are those of common/build_stages.go in its source (19.4). */
bool gitlab_stage_is_own(const char *stage);

/* Does the job fail when the script of @stage fails? Of the stages that come after the job's own, only the upload of
 * artifacts decides. True for NULL and for names that are not known. */
bool gitlab_stage_decides(const char *stage);

/* Does GitLab Runner write scripts for PowerShell if @shell (a name or path; NULL: the usual one) runs them? */
bool gitlab_shell_is_powershell(const char *shell);
