/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "base/problem.h"
#include "machine/image-machine.h"

/* Our program under this name is what ansible starts for each command, with the machine's job directory in the variable;
 * it becomes the hidden command `machine-exec`. */
#define PLAYBOOK_ENTRY_NAME "nspawn-runner-machine-exec"
#define PLAYBOOK_ENTRY_VARIABLE "NSPAWN_RUNNER_MACHINE"

/* A playbook, run on the host by Debian's ansible-playbook against a machine that is kept up for all of it. Every
 * command of ansible's chroot connection becomes a step of the agent in that machine. */
typedef struct Playbook {
        const ImageMachine *machine; /* started with the image's tree in place */
        const char *name;            /* of the image: the inventory's only host */
        const char *tree;            /* absolute path of the image's tree */
        const char *path;            /* the playbook's file */
        const Listener *listener;    /* its on_output gets what ansible prints, as it comes */
} Playbook;

typedef struct PlaybookResult {
        bool changed;                       /* ansible changed something in the image */
        unsigned n_ok, n_changed, n_failed; /* tasks, as in its recap; unreachable counts as failed */
        Problem problem;                    /* of a failure: a sentence */
} PlaybookResult;

/* Returns 0 when all went well; ansible-playbook's exit status (> 0) when the playbook failed, which it said why;
 * -ENOPKG: ansible is not installed; -ENOEXEC: the image has no python, and the playbook begins with facts; -ECANCELED;
 * or another -errno. Unless it is 0, @ret->problem says what is wrong. Nothing of ansible runs any more. */
int playbook_run(const Playbook *playbook, PlaybookResult *ret);

/* Where in its directory ansible has temporary files. */
#define PLAYBOOK_TEMPORARY "tmp"

/* A playbook that is looked at before there is anything to run it in. */
typedef struct PlaybookCheck {
        const char *name;         /* of the image */
        const char *path;         /* the playbook's file */
        const char *work;         /* a directory; PLAYBOOK_TEMPORARY in it is the caller's to remove */
        const Listener *listener; /* its on_output gets what ansible prints when something is wrong */
} PlaybookCheck;

/* Lets ansible read the playbook with all that it includes by fixed names (--syntax-check). 0; ansible-playbook's exit
 * status (> 0) when it finds something wrong; -ENOPKG: it is not installed; -ECANCELED; or another -errno. Unless it is 0,
 * @reterr_problem is a sentence. */
int playbook_check(const PlaybookCheck *check, Problem *reterr_problem);
