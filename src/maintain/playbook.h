/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "base/problem.h"
#include "machine/image-machine.h"

/* A playbook that ansible-playbook runs on the host against a container. The container runs all the time. Every command
 * that ansible runs there becomes a step of the agent in that container. */
typedef struct Playbook {
        const ImageMachine *machine; /* started with in_place */
        const char *name;            /* name of the image, from which the inventory's only host gets its name */
        const char *tree;            /* absolute path of the image's tree */
        const char *path;            /* the playbook's file */
        const Listener *listener;    /* its on_output gets what ansible prints, as it comes */
} Playbook;

typedef struct PlaybookResult {
        bool changed;                       /* ansible changed something in the image */
        unsigned n_ok, n_changed, n_failed; /* tasks, as in ansible's recap; unreachable counts as failed */
        Problem problem;                    /* after a failure: a sentence */
} PlaybookResult;

/* Runs the playbook. Returns 0; ansible-playbook's exit status (> 0): the playbook failed, and ansible has printed why;
 * -ENOPKG: ansible is not installed; -ENOEXEC: the image has no python, and the playbook begins by gathering facts;
 * -ECANCELED; or another -errno. Unless the result is 0, @ret->problem says what is wrong. In every case no process of
 * ansible is left. */
int playbook_run(const Playbook *playbook, PlaybookResult *ret);

/* Subdirectory for ansible's temporary files. */
#define PLAYBOOK_TEMPORARY "tmp"

/* A playbook to check before there is a container to run it in. */
typedef struct PlaybookCheck {
        const char *name;         /* of the image */
        const char *path;         /* the playbook's file */
        const char *work;         /* a directory; the caller removes PLAYBOOK_TEMPORARY from it */
        const Listener *listener; /* its on_output gets what ansible prints when something is wrong */
} PlaybookCheck;

/* Lets ansible check the playbook and all files that it includes by fixed names (--syntax-check). Returns 0;
 * ansible-playbook's exit status (> 0): it found something wrong; -ENOPKG: ansible is not installed; -ECANCELED; or
 * another -errno. Unless the result is 0, @reterr_problem has a sentence. */
int playbook_check(const PlaybookCheck *check, Problem *reterr_problem);
