/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "base/problem.h"
#include "definition/definition.h"

/* What runs in an image's tree before it is published, in machines of its own. */
typedef struct InTree {
        const Settings *settings; /* of the image */
        const Definition *definition;
        const char *tree;         /* absolute; nobody else uses it */
        bool upgrade;             /* its packages are to be brought up to date */
        char *const *environment; /* of what runs in it; NULL: none */
        const char *user;         /* of the test; NULL: root */
        const char *working_dir;  /* where the test starts; NULL: home */
        const Listener *listener;
} InTree;

/* Upgrades packages and runs the playbook, as far as either is asked for. *ret_changed says whether the tree is another
 * one now. Returns 0, or -errno with @reterr_problem saying in a sentence what went wrong, unless the error says it all. Nothing runs any more. */
int in_tree_update(const InTree *in_tree, bool *ret_changed, Problem *reterr_problem);

/* Runs the definition's test in a throw-away machine of the tree, which stays as it is: as above, -EIO for a test that
 * failed. */
int in_tree_test(const InTree *in_tree, Problem *reterr_problem);

/* Before there is a tree: lets ansible read the playbook, if there is one. @work, which is open as @work_fd, is a directory
 * for temporary files; none is left. As above, -EIO for a playbook that cannot be used. Of @in_tree only definition and
 * listener count. */
int in_tree_check(const InTree *in_tree, const char *work, int work_fd, Problem *reterr_problem);
