/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "base/problem.h"
#include "machine/image-machine.h"

/* ansible starts our program by this name for each command, with the container's directory in the variable. The program
 * then runs the hidden command `machine-exec`. */
#define PLAYBOOK_ENTRY_NAME "nspawn-runner-machine-exec"
#define PLAYBOOK_ENTRY_VARIABLE "NSPAWN_RUNNER_MACHINE"

/* A playbook, run by ansible-playbook on the host against a container that runs all the time. Every command of
 * ansible's chroot connection becomes a step of the agent in that container. */
typedef struct Playbook {
        const ImageMachine *machine; /* started with in_place */
        const char *name;            /* of the image, and of the inventory's only host */
        const char *tree;            /* absolute path of the image's tree */
        const char *path;            /* the playbook's file */
        const Listener *listener;    /* its on_output gets what ansible prints, as it comes */
} Playbook;

typedef struct PlaybookResult {
        bool changed;                       /* ansible changed something in the image */
        unsigned n_ok, n_changed, n_failed; /* tasks, as in its recap; unreachable counts as failed */
        Problem problem;                    /* of a failure: a sentence */
} PlaybookResult;

/* Returns 0; ansible-playbook's exit status (> 0) when the playbook failed, after ansible has printed why; -ENOPKG:
 * ansible is not installed; -ENOEXEC: the image has no python, and the playbook begins by gathering facts; -ECANCELED;
 * or another
 * -errno. Unless it is 0, @ret->problem says what is wrong. Nothing of ansible runs any more. */
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

/* Lets ansible check the playbook and all files that it includes by fixed names (--syntax-check). 0; ansible-playbook's
 * exit status (> 0) when it finds something wrong; -ENOPKG: it is not installed; -ECANCELED; or another -errno. Unless
 * it is 0, @reterr_problem has a sentence. */
int playbook_check(const PlaybookCheck *check, Problem *reterr_problem);
