/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "pipeline/request.h"

/* A working copy on this machine: what git says of it, and its files as they are, with changes that are not committed. Git is
 * run for that, without its hooks and monitors; nothing is written. */

typedef struct IncludeRoot {
        const char *name; /* "HOST/PATH", "PATH" of a project, or "templates" */
        const char *directory;
} IncludeRoot;

typedef struct Checkout {
        char *top; /* absolute */
        int top_fd;
        bool is_git;
        const IncludeRoot *include_roots; /* ends with one without a name; set by the caller, or NULL */
        bool all_changed; /* set by the caller: there is nothing to compare with, as for tags and schedules */
        char *branch;     /* NULL: none is checked out */
        char *tag;        /* at the commit; or NULL */
        char *default_branch;
        char *remote;                                             /* the URL of origin, or NULL */
        char *user_name, *user_email;                             /* of git's configuration; or NULL */
        char *commit, *parent;                                    /* ids, or NULL */
        char *author_name, *author_email, *commit_date, *message; /* of the commit, or NULL */
        char **paths;                                             /* once they were listed */
        char **other_paths;                                       /* of the stand-in that was listed last */
        char *other_root;
        char **changes; /* since @changes_base */
        char *changes_base;
} Checkout;

/* Opens the working copy that @directory is in; without git, that directory itself. *reterr_what says what failed. 0;
 * -ENOENT or another -errno. */
int checkout_open(const char *directory, Checkout **ret, const char **reterr_what);
void checkout_free(Checkout *checkout);
DEFINE_CLEANUP(Checkout *, checkout_free)
#define _cleanup_checkout_ _cleanup_(checkout_freep)

/* The functions that an evaluation reads files by. @checkout must outlive it. */
PipelineProvider checkout_provider(Checkout *checkout);

/* The commit that @revision names, to be freed: 0, -ENOENT, or -errno. */
int checkout_find_commit(const Checkout *checkout, const char *revision, char **ret);
bool checkout_has_tag(const Checkout *checkout, const char *name);
