/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "base/problem.h"
#include "source/builder.h"
#include "source/spec.h"

/* Where the tree of a new image comes from: one const struct for each kind of source. */

typedef struct SourceRequest {
        const SourceSpec *spec;
        const char *target;     /* empty directory that becomes the tree; absolute */
        const char *work;       /* empty directory for what is only needed meanwhile, on the same file system;
                               * absolute; what is left in it is the caller's to remove */
        const char *old_digest; /* of the tree that the image has now; NULL: fill in anyway */
        uint64_t max_bytes; /* that what is fetched, and then the tree, may take up on disk; 0: as much as there is. Not
                             * for a suite or a command: those are the administrator's */
        const Listener *listener;
} SourceRequest;

typedef struct SourceResult {
        char *description; /* such as "suite bookworm" or "oci docker://registry.example/group/name:tag" */
        char *digest;      /* "sha256:..." of what the source had, or that of source_recipe() */
        char **env;        /* of an OCI image's configuration: NAME=VALUE; NULL: none */
        char *working_dir; /* the same; NULL: none */
        char *user;        /* USER[:GROUP], the same; NULL: none */
        char **entrypoint; /* the same, as the three that follow: see source/oci-config.h */
        char **command;
        char **ports;
        char **volumes;
        bool has_config; /* of an image that has such a configuration */
        bool unchanged;  /* digest is old_digest: the target was left empty */
} SourceResult;

void source_result_done(SourceResult *result);
#define _cleanup_source_result_ _cleanup_(source_result_done)

typedef struct Source {
        SourceKind kind;
        const char *name; /* begins descriptions */

        /* As source_fill(). */
        int (*fill)(const SourceRequest *request, SourceResult *ret, Problem *reterr_problem);
        /* What @spec names, for the description. */
        const char *(*subject)(const SourceSpec *spec);
} Source;

/* Fills the target. Nothing is written outside of it and of the work directory whatever comes from outside: only a
 * create_command, which is the administrator's own, may do that. Devices in it are just files. The tree has the
 * directories that every root file system has; finish_tree() is the caller's to call.
 * Returns
 *      0
 *      > 0             exit status of a program, which said why by on_line, or SOURCE_REFUSED
 *      -EINVAL         with @reterr_problem saying in a sentence what is wrong or missing
 *      -EUCLEAN        the same: nothing may be started in what the source has (tree/check.h)
 *      -EDQUOT         there is more than max_bytes
 *      -ECANCELED
 *      another -errno
 * On failure @ret is untouched, and target and work hold whatever was unpacked by then; nothing runs any more. For
 * SOURCE_NONE and SOURCE_FROM, which is a copy of another image: -EOPNOTSUPP. */
int source_fill(const SourceRequest *request, SourceResult *ret, Problem *reterr_problem);

/* The registry has no such image, or not for us, as the program said by on_line: to ask again is of no use. Above every
 * exit status. */
#define SOURCE_REFUSED 256

/* Of SOURCE_SUITE, the work with a plan that the caller has made: as source_fill(), never -EINVAL. Of @request only target,
 * and the listener count. */
int source_build(const SourceRequest *request, const BuildPlan *plan);

/* "suite bookworm", "oci docker://...": what goes into `SourceResult.description`; "from NAME" too. *ret is to be
 * freed. 0; -EOPNOTSUPP for SOURCE_NONE; or -ENOMEM. */
int source_describe(const SourceSpec *spec, char **ret);

/* "recipe:...": stands for all that @spec says about a suite or a create_command, where nothing else tells
 * whether the tree would be made as before; NULL for other sources. *ret must be NULL before, and is to be freed. 0 or
 * -ENOMEM. */
int source_recipe(const SourceSpec *spec, char **ret);

extern const Source source_suite, source_command, source_tarball, source_oci;

/* For the sources themselves. */

/* What to fetch for @reference: for docker://NAME:TAG, NAME@DIGEST, where @digest (NULL: none) is what was found there.
 * A digest in the reference itself goes before that and before its tag; other transports have none. *ret must be
 * NULL before, and is to be freed. 0 or -ENOMEM. */
int oci_reference_pin(const char *reference, const char *digest, char **ret);

/* What a source lets a program do. All but the first are confined (source/confine.h). */
typedef enum SourceTrust {
        SOURCE_PROGRAM_FREE,         /* anything */
        SOURCE_PROGRAM_FETCH,        /* writes to the work directory only, and has the host's network */
        SOURCE_PROGRAM_FETCH_DAEMON, /* the same, with local sockets that are readable for it */
        SOURCE_PROGRAM_READ,         /* writes to the work directory only, and has no network */
        SOURCE_PROGRAM_UNPACK,       /* writes to target and work directory only, with any owners, and has no network */
} SourceTrust;

typedef struct SourceProgram {
        SourceTrust trust;
        char *const *argv;
        char *const *environment; /* besides the builders'; NULL: nothing */
        const char *directory;    /* it starts in; NULL: any */
        char *const *readable;    /* what it can read besides the system's programs, as of Confinement */
} SourceProgram;

/* Runs it as sandbox_run(). -EDQUOT: it wrote more than @request->max_bytes, and was killed. */
int source_run(const SourceRequest *request, const SourceProgram *program);

/* The same for a program of whose output the first line that @matches is wanted: *ret, to be freed. All others go to
 * on_line. -EBADMSG: it ended with 0 and without such a line. */
int source_run_for_line(const SourceRequest *request, const SourceProgram *program, bool (*matches)(const char *line),
                        char **ret);
