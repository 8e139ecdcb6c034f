/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"
#include "config/settings.h"

/* The plan of one container, made by `prepare` and carried out by `supervise`: all that they need to know, in plain
 * values. Written to `<job directory>/machine.json` before anything is started (see machine/directory.h). */
typedef struct Machine {
        char *id;             /* of the job */
        char *name;           /* of the machine: see machine_name() */
        char *hostname;       /* inside; NULL: the name */
        char *directory;      /* `<runtime_dir>/jobs/<id>` */
        char *layer;          /* `<root_dir>/.layers/<name>` */
        char *image;          /* name */
        char *image_path;     /* directory of the image's current generation */
        char *image_handle;   /* of the job's tree (file_handle_text()), wherever it is by now; NULL: not known */
        char *agent_path;     /* the agent's binary on the host */
        char *preload;        /* library that systemd-nspawn is started with (preload/userns-owner.h); NULL: none */
        char *supervisor;     /* "systemd" or "detached" */
        char *init;           /* the image's systemd that the agent is to execute; NULL: the agent stays PID 1 */
        char *uuid;           /* also the machine-id inside */
        char **environment;   /* of steps, over the agent's own: an OCI image has one */
        char *user;           /* USER[:GROUP] that steps run as; NULL: root */
        char *working_dir;    /* where steps start; NULL: home */
        char *builds_dir;     /* is a mount of its own, if the image is one of a registry; NULL: it is not */
        char *bash_path;      /* static bash of the host, for an image without; NULL: none */
        char *runner_path;    /* GitLab Runner's program on the host, for the stages that call it; NULL: none */
        uint64_t generation;  /* of the image: which tree the job uses; 0: it has no number */
        bool interactive;     /* somebody works in it by hand: it has a /tmp of its own, and cannot reboot */
        bool needs_loop;      /* its disk is a loop device */
        bool lazy;            /* init is executed only when somebody in the container asks for it */
        char **volumes;       /* what several containers share: see container/volume.h */
        char *seccomp_filter; /* file with the filter the agent installs first; NULL: none */
        uint64_t runtime_max_usec;  /* the container ends by itself after this; USEC_INFINITY: never */
        char *lack;                 /* what the image lacks for GitLab's own stages; NULL: nothing */
        char *helper;               /* name of the image that these run in; NULL: in the job's own */
        char *helper_path;          /* directory of that image, */
        char *helper_handle;        /* its tree, as image_handle, */
        uint64_t helper_generation; /* its generation, */
        char **helper_environment;  /* and what goes over the agent's own there */
        /* What people know the job by (job/describe.h), all printable; each may be NULL. */
        char *job_name, *job_stage, *project, *job_url, *started_by;
        uint64_t since_usec;  /* wall clock */
        uint64_t owner_pid;   /* the container ends with this process; UINT64_MAX: it has no such owner */
        uint64_t owner_start; /* that process's start time, as in proc_pid_stat(5): numbers are used again */

        /* In a private segment (machine/segment.h). */
        char *network_of;        /* id of the container whose segment this one joins; NULL: it has one of its own */
        uint64_t network_number; /* of its address there (network/block.h); UINT64_MAX: the job's own */
        char **hosts;            /* who else is there, for /etc/hosts: "NUMBER NAME..." */
        bool has_segment;        /* others may join: with `network: none` there is a segment, too, without a way out */

        /* Of a service's container. */
        char **names;       /* as its job's containers find it; NULL: this is no service's container */
        char **command;     /* program and arguments, which the container ends with; NULL: see boot_target */
        char **directories; /* made before the command starts */
        char *boot_target;  /* without a command: the unit that its systemd starts */
        char **ports;       /* TCP ports that show that it is ready */

        /* The settings of machines (setting_is_machine()), and only these: as they were when it was planned, but `storage`
         * is the name of the driver, sizes of memory are bytes, and work in a tree has maintenance_network as `network`
         * and no binds. `init` and `seccomp_filter` say what became of `boot` and `seccomp`. */
        Settings settings;
} Machine;

void machine_free(Machine *machine);
DEFINE_CLEANUP(Machine *, machine_free)
#define _cleanup_machine_ _cleanup_(machine_freep)

/* Does the container get an interface in a private segment? */
bool machine_in_segment(const Machine *machine);

/* What the container is for, in a line: *ret is to be freed. 0 or -ENOMEM. */
int machine_description(const Machine *machine, char **ret);

/* The name of a container is also that of its service, its control groups, its layer, and its host name. All these are
 * common to every configuration on the host, so the name says whose it is: "PREFIX" and the id, where PREFIX is
 * "nspawn-runner-job-" for the default runtime_dir and "nspawn-runner-HASH-" for others, with HASH 8 hexadecimal digits of
 * the directory's path. One runtime_dir, one prefix: symlinks in its path are resolved, as far as it exists. No prefix is
 * the beginning of another one, and no other unit or group of ours begins so. At most 63 characters, as long as ids have
 * 40: it has to be a valid host name. */
#define MACHINE_PREFIX_BYTES sizeof("nspawn-runner-01234567-")
void machine_prefix(const char *runtime_dir, char ret[static MACHINE_PREFIX_BYTES]);

/* *ret is to be freed. 0 or -ENOMEM. */
int machine_name(const char *runtime_dir, const char *id, char **ret);
