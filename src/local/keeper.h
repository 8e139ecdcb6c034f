/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "local/archive.h"
#include "local/files.h"
#include "local/store.h"

/* What a job keeps, and where. */
typedef struct Keeper {
        Caller *caller;
        const LocalStore *store;
        const char *top;       /* of the working copy */
        bool has_commit;       /* git knows files of it */
        const char *directory; /* that artifacts are copied to, too; or NULL */
} Keeper;

/* Is @map, artifacts or a cache, to be kept after this result of the script, as its "when" says? */
bool keeper_is_due(const LocalJob *job, const Value *map, bool success);

/* Takes the files of @map out of the container, as files_take() does. *ret_fd is negative if it names none. 0 or -errno. */
int keeper_take(const Keeper *keeper, const Value *map, int *ret_fd, size_t *ret_n);

/* Where a file is made that keeper_publish() gives its name, one at a time in each process. If the process is killed, the
 * file goes with the run. *ret is to be freed. 0 or -ENOMEM. */
int keeper_fresh(const LocalStore *store, char **ret);

/* The file @fresh, which is complete, takes the place of @path, and also of @own (NULL: it has one name only): that is the
 * run's own, which stays when another run replaces @path. 0; or -errno, with @fresh as before. */
int keeper_publish(const char *fresh, const char *path, const char *own);

/* Makes an archive of bundle @bundle_fd, and calls keeper_publish() when it is whole. 0, or -errno with
 * @reterr_problem. */
int keeper_keep(const Keeper *keeper, int bundle_fd, const char *path, const char *own, ArchiveFormat format, int level,
                Problem *reterr_problem);

/* The level of compression that @variable of the job has in GitLab Runner's words. */
int keeper_level(const LocalJob *job, const char *variable);
