/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "image/generation.h"
#include "machine/directory.h"

/* What to make a machine of. All of it is the caller's and only read; the plan has copies. */
typedef struct MachineRequest {
        const Settings *settings; /* the image's own over the configuration's */
        const char *id;           /* see id_problem(); the machine's alone among those of settings->runtime_dir */
        const char *image;        /* what people call the image: its name, or a reference */
        const char *tree_path;    /* absolute: where the current generation of the image is, or a tree to work in */
        int tree_fd;              /* that tree, or an older generation of the image */
        uint64_t generation;      /* of the tree; 0: it has no number */
        /* The work changes the tree, which nobody else uses: the tree itself is the root, the network is what
         * `maintenance_network` says, and nothing is bound into it. Otherwise all changes are removed with the
         * machine. */
        bool in_place;
        /* A person works in it: the image's systemd is not started, /tmp is removed with the machine, and it cannot
         * reboot. */
        bool interactive;
        /* The machine of a service: as in Machine. */
        char *const *names, *const *command, *const *directories, *const *ports;
        const char *boot_target;
        /* If the image's systemd is started at all, it has started before the first step, whatever the setting `boot`
         * says. */
        bool eager;
        const char *hostname;      /* inside; NULL: the machine's name */
        char *const *environment;  /* of steps, "NAME=VALUE"s over the agent's own; NULL: none */
        const char *user;          /* USER[:GROUP] of steps; NULL: root */
        const char *working_dir;   /* where steps start; NULL: home */
        uint64_t runtime_max_usec; /* the machine ends by itself after this; USEC_INFINITY: never */
        bool owned;                /* it ends with this process, */
        pid_t owner;               /* or, where that is not 0, with this one, */
        uint64_t owner_start;      /* which started then; 0: look now */
} MachineRequest;

#define MACHINE_REQUEST_NONE                                         \
        (MachineRequest) {                                           \
                .tree_fd = -EBADF, .runtime_max_usec = USEC_INFINITY \
        }

/* Puts what @image has of these into @request: the tree, and the environment, user and directory of steps. *ret_known, to
 * be freed after @request was used, owns some of it, and @image the rest. 0 or -errno. */
int plan_take_image(MachineRequest *request, const Image *image, Generation **ret_known);

/* Why a plan cannot be made, where errno has no word for it. */
typedef enum PlanOutcome {
        PLAN_NO_SYSTEMD = 1, /* `boot: yes` or `boot: eager`, and an image without systemd */
        PLAN_NO_AGENT,       /* the agent's binary is missing */
        PLAN_NO_SECCOMP,     /* libseccomp or systemd-analyze are missing */
} PlanOutcome;

/* Makes the machine, complete but for the seccomp filter's path (NULL). 0; or PLAN_NO_SYSTEMD, PLAN_NO_AGENT or -errno, with
 * @reterr_problem, zero before, filled in. */
int plan_machine(const MachineRequest *request, Machine **ret, Problem *reterr_problem);

/* Adds the filter of system calls to the machine if the settings want one; the first call after the host's boot compiles
 * it. 0; or PLAN_NO_SECCOMP, -EINVAL for a call that does not exist, or another -errno, with @reterr_problem, zero before,
 * filled in. */
int plan_seccomp(const MachineRequest *request, Machine *machine, Problem *reterr_problem);

/* Do programs of the image need socketcall(2) to make sockets, as those of 32-bit x86 do, and are refused it? Only
 * the administrator's own images are allowed it: a job could choose an image of a registry for this. */
bool plan_lacks_sockets(const MachineRequest *request);

/* The command that carries out the plan of machine @id: our own program, with the directories of this call. *ret is
 * for strv_free(). 0 or -errno. */
int plan_supervise_command(const Settings *settings, const char *id, char ***ret);
