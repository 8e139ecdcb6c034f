/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* How git is called. Repositories are not trusted: hooks, monitors and repositories in unusual places are off, and git reaches
 * no other repository unless @protocols allows it. */
typedef struct GitCall {
        const char *directory;
        bool bare;             /* it is a repository of ours without a working copy */
        bool prompts;          /* git may ask for passwords, at the terminal */
        const char *protocols; /* as GIT_ALLOW_PROTOCOL has them; NULL: none, so that nothing missing is fetched */
        const char *index;     /* a file to use as the index; NULL: the repository's own */
        char *const *config;   /* names and values by turns, stronger than all files of configuration; or NULL */
} GitCall;

/* Makes the command line and the environment of git with @arguments (NULL-terminated). Both are for strv_free(). 0 or
 * -ENOMEM. */
int git_command(const GitCall *call, char *const *arguments, char ***ret_argv, char ***ret_envp);

/* Runs git. Returns its exit status with what it printed in *ret_output, to be freed, without newlines at its end; -ENOENT: git
 * is not installed; -ETIMEDOUT: it took five minutes, and was killed; or another -errno. */
int git_call(const GitCall *call, char *const *arguments, char **ret_output);

/* Runs git to look at the repository that @directory is in, for callers that need success. *ret_output, NULL or a string
 * before, is as of git_call(). 0; -ENOENT: git failed, printed nothing, or is not installed; or another -errno. */
int git_ask(const char *directory, char *const *arguments, char **ret_output);

/* Runs git and splits its output, whose items end with NUL bytes, as -z makes it. *ret_items is for strv_free().
 * Returns as git_ask(). */
int git_list_call(const GitCall *call, char *const *arguments, char ***ret_items);
int git_list(const char *directory, char *const *arguments, char ***ret_items);

/* What GitCall.config must be so that no filter runs that the repository's own configuration names: where git compares files
 * with commits, it would run them. Filters of the user's and the host's configuration stay. *ret is for strv_free(). As
 * git_ask(). */
int git_own_filters_off(const char *directory, char ***ret);
