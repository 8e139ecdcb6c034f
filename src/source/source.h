/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "base/problem.h"
#include "config/image-config.h"
#include "source/builder.h"
#include "source/spec.h"

/* Where the tree of a new image comes from. There is one const struct for each kind of source. */

typedef struct SourceRequest {
        const SourceSpec *spec;
        const char *target;     /* empty directory that becomes the tree; absolute */
        const char *work;       /* empty directory for temporary files, on the same file system; absolute; the caller
                                 * removes what is left in it */
        const char *old_digest; /* of the tree that the image has now; NULL: fill the target in any case */
        uint64_t max_bytes; /* limit for the size on disk of what is fetched, and then of the tree; 0: no limit. A suite
                             * or a command, which the administrator chose, has no limit */
        const Listener *listener;
} SourceRequest;

typedef struct SourceResult {
        char *description;  /* such as "suite bookworm" or "oci docker://registry.example/group/name:tag" */
        char *digest;       /* "sha256:..." of what the source has, or the text of source_recipe() */
        ImageConfig config; /* of an OCI image */
        bool has_config;    /* it is an OCI image, so @config counts */
        bool unchanged;     /* @digest equals old_digest, and the target was left empty */
} SourceResult;

void source_result_done(SourceResult *result);
#define _cleanup_source_result_ _cleanup_(source_result_done)

typedef struct Source {
        SourceKind kind;
        const char *name; /* begins descriptions */

        /* As source_fill(). */
        int (*fill)(const SourceRequest *request, SourceResult *ret, Problem *reterr_problem);
        /* Returns what @spec names, for the description. Borrowed from @spec. */
        const char *(*subject)(const SourceSpec *spec);
} Source;

/* Fills the target. Whatever the source contains, nothing is written outside of the target and of the work directory; only
 * a create_command, which is the administrator's own, may write elsewhere. The tree gets the directories that every root
 * file system has; the caller calls finish_tree().
 * Returns
 *      0
 *      > 0             exit status of a program, which printed the reason, or SOURCE_REFUSED
 *      -EINVAL         with @reterr_problem saying in a sentence what is wrong or missing
 *      -EUCLEAN        likewise: no container may be started in the source's tree (tree/check.h)
 *      -EDQUOT         the content is larger than max_bytes
 *      -ECANCELED
 *      another -errno
 * On failure @ret is untouched, target and work hold what was unpacked until then, and nothing runs any more. For
 * SOURCE_NONE and SOURCE_FROM, which is a copy of another image: -EOPNOTSUPP. */
int source_fill(const SourceRequest *request, SourceResult *ret, Problem *reterr_problem);

/* The registry does not have the image or does not let us have it, as the program printed; another try would not help.
 * The number is larger than every exit status. */
#define SOURCE_REFUSED 256

/* Removes user and password from "https://user:password@host/...", for what people see. *ret, which must be NULL or a string,
 * is to be freed. 0 or -ENOMEM. */
int source_without_credentials(const char *url, char **ret);

/* Makes the text of `SourceResult.description`, such as "suite bookworm"; "from NAME" for SOURCE_FROM. *ret is to be
 * freed. 0; -EOPNOTSUPP for SOURCE_NONE; or -ENOMEM. */
int source_describe(const SourceSpec *spec, char **ret);

/* Makes "recipe:...", a hash of everything that @spec says about a suite or a create_command. The hash differs if the
 * tree would be made in another way. *ret stays NULL for other sources, which have digests. *ret must be NULL before,
 * and is to be freed. 0 or -ENOMEM. */
int source_recipe(const SourceSpec *spec, char **ret);

extern const Source source_suite, source_command, source_tarball, source_oci;

/* Only the sources use what follows. */

/* Pins @reference: docker://NAME:TAG becomes docker://NAME@DIGEST, with the digest in the reference if it has one, else with
 * @digest (NULL: none is known). References of other transports stay as they are. *ret must be NULL before, and is to be
 * freed. 0 or -ENOMEM. */
int oci_reference_pin(const char *reference, const char *digest, char **ret);

/* What a source lets a program do. All but the first value confine the program (source/confine.h). */
typedef enum SourceTrust {
        SOURCE_PROGRAM_FREE,         /* anything */
        SOURCE_PROGRAM_FETCH,        /* writes to the work directory only, and has the host's network */
        SOURCE_PROGRAM_FETCH_DAEMON, /* the same, and it can use the local sockets in `readable` */
        SOURCE_PROGRAM_READ,         /* writes to the work directory only, and has no network */
        SOURCE_PROGRAM_UNPACK,       /* writes to target and work directory only, with any owners, and has no network */
} SourceTrust;

typedef struct SourceProgram {
        SourceTrust trust;
        char *const *argv;
        char *const *environment; /* in addition to builder_environment(); NULL: nothing */
        const char *directory;    /* where it starts; NULL: it does not matter */
        char *const *readable;    /* what it can read in addition to the system's programs, as in Confinement */
} SourceProgram;

/* Runs @program, and returns as sandbox_run() does. -EDQUOT: it wrote more than @request->max_bytes and was killed. */
int source_run(const SourceRequest *request, const SourceProgram *program);

/* Does the same, and stores the first line for which @matches returns true in *ret, to be freed. All other lines go to
 * on_line. -EBADMSG: the program ended with 0 but printed no such line. */
int source_run_for_line(const SourceRequest *request, const SourceProgram *program, bool (*matches)(const char *line),
                        char **ret);
