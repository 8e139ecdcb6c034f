/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "image/image.h"
#include "machine/directory.h"
#include "machine/step.h"

/* A machine to work on an image in: to maintain it, to test it, to try it. `status` shows it beside those of jobs, and
 * `gc` removes what is left of it; it ends with the process that started it. */
typedef struct ImageMachine {
        const Settings *settings; /* the caller's */
        Machine *machine;
        MachineDirectory directory;
        struct TreeFiles *files; /* of a tree that is changed: what only the machine needs other than it is */
} ImageMachine;

/* A directory of the host that is copied into the machine, and goes with it. */
typedef struct ImageMachineCopy {
        int source_fd;
        const char *target; /* absolute, inside */
} ImageMachineCopy;

typedef struct ImageMachineRequest {
        const Settings *settings; /* the image's own over the configuration's; must outlive the machine */
        /* The generation to try, which the caller holds until the machine has started: all that a job would get, with
         * the image's own environment, user and directory for steps. NULL: @tree. */
        const Image *image;

        /* A tree that is to become image @name, at this absolute path. */
        const char *name, *tree;
        /* The work changes the tree, which nobody else uses: the tree itself is the root, the network is the host's,
         * and nothing is bound into it. Otherwise the machine has what a job would get, and all changes are removed
         * with it. */
        bool in_place;
        /* As in MachineRequest, of a tree. */
        bool interactive;
        const char *hostname;
        /* Of steps in @tree, as an OCI image has them; NULL: none. */
        char *const *environment;
        const char *user;
        const char *working_dir;
        const ImageMachineCopy *copies;
        size_t n_copies;
        int cancel_fd; /* the start is given up when this becomes readable; negative: never */
} ImageMachineRequest;

/* Starts the machine and waits until its agent answers. 0, or -errno with nothing left and @reterr_problem saying in
 * a sentence what went wrong. */
int image_machine_start(const ImageMachineRequest *request, ImageMachine **ret, Problem *reterr_problem);

/* Runs a command in the machine, with the machine's user, directory and environment where @request has none. Returns
 * as step_run(). */
int image_machine_run(const ImageMachine *machine, const StepRequest *request, StepOutcome *ret);

/* Puts into @ret what completes "the command ..." for an outcome. */
void image_machine_explain(const ImageMachine *machine, const StepOutcome *outcome, Problem *ret);

/* Ends the machine, with all that runs in it, removes what was its own, and frees @machine. With @in_place the tree is as
 * what ran in it left it. 0 or -errno; NULL is fine. */
int image_machine_stop(ImageMachine *machine);
static inline void image_machine_stopp(ImageMachine **machine) {
        (void) image_machine_stop(*machine);
}
#define _cleanup_image_machine_ _cleanup_(image_machine_stopp)
