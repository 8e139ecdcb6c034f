/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "project/fetch.h"
#include "project/foreign.h"

/* A working copy on this host: facts from git, and the files as they are, with uncommitted changes. Git is run for
 * this, without its hooks and monitors; nothing is written. */

typedef struct IncludeRoot {
        const char *name; /* "HOST/PATH", "PATH" of a project, or "templates" */
        const char *directory;
} IncludeRoot;

typedef struct Checkout {
        char *top; /* absolute */
        int top_fd;
        bool is_git;
        bool git_refuses;                 /* it is in a repository, but git does not say so */
        char *trap;                       /* a file of the repository that git would wait for, or NULL */
        Foreign foreign;                  /* whether the repository is another one's */
        const IncludeRoot *include_roots; /* the last one has no name; set by the caller, or NULL */
        Fetch *fetch;                     /* for what no directory stands in for; set by the caller, or NULL */
        bool all_changed; /* set by the caller: there is nothing to compare with, as for tags and schedules */
        char *branch;     /* NULL: none is checked out */
        char *tag;        /* at the commit; or NULL */
        char *default_branch;
        char *remote;                                             /* the URL of origin, or NULL */
        char *user_name, *user_email;                             /* from git's configuration; or NULL */
        char *commit, *parent;                                    /* ids, or NULL */
        char *author_name, *author_email, *commit_date, *message; /* of the commit, or NULL */
        char **paths;                                             /* all files; NULL until they were listed */
        char **other_paths;                                       /* files of @other_root, the stand-in that was listed
                                                                   * last */
        char *other_root;
        char **changes; /* since @changes_base */
        char *changes_base;
} Checkout;

/* Opens the working copy that @directory is in; without git, the directory itself. 0 with @ret for checkout_free(),
 * which is of no use if its @trap or @foreign.problem is set; or -errno with *reterr_what saying what failed. */
int checkout_open(const char *directory, Checkout **ret, const char **reterr_what);
void checkout_free(Checkout *checkout);
DEFINE_CLEANUP(Checkout *, checkout_free)
#define _cleanup_checkout_ _cleanup_(checkout_freep)

/* Returns the functions with which an evaluation reads files. @checkout must outlive the evaluation. */
PipelineProvider checkout_provider(Checkout *checkout);

/* Finds the id of the commit that @revision names. *ret is to be freed. 0; -ENOENT: there is no such commit; or another
 * -errno. */
int checkout_find_commit(const Checkout *checkout, const char *revision, char **ret);
/* Finds the commit where the present branch left the default branch; on the default branch itself, where it left the remote's,
 * or the commit before. *ret is to be freed. 0; -ENODATA: there is no such commit; or another -errno. */
int checkout_find_base(const Checkout *checkout, char **ret);
bool checkout_has_tag(const Checkout *checkout, const char *name);
