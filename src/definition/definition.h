/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "config/settings.h"
#include "source/spec.h"

/* What the definition of an image says: a playbook of ansible, whose first play has variables of ours in `vars:`. All
 * others, and whatever else is in the file, are ansible's. */

#define DEFINITION_PREFIX "nspawn_runner_"

typedef struct Definition {
        char *name; /* of the image */
        char *path; /* of the file; absolute if it was found by definition_find() */

        /* Relative paths in it were completed with the definition's directory. */
        SourceSpec source;
        unsigned from_line, from_column;
        unsigned ignored_line; /* where a later play has variables that look like ours and are ansible's; 0: nowhere */

        bool recreate;             /* maintenance makes the image anew instead of updating it */
        uint64_t keep_generations; /* at least 1: the one in use counts too */
        char **test;               /* argv as create_command, for inside the image; or NULL */
        bool has_tasks;            /* there is something to do for ansible-playbook, in any play */

        /* Machine settings, for definition_apply(). */
        Settings settings;
        bool settings_given[SETTINGS_MAX];
} Definition;

void definition_free(Definition *definition);
DEFINE_CLEANUP(Definition *, definition_free)
#define _cleanup_definition_ _cleanup_(definition_freep)

/* Looks for the definition of image @name: NAME.yaml and NAME.yml in definitions_dir, then in root_dir; the first
 * found wins. Both paths are to be freed. @ret_shadowed (may be NULL: then nobody looks) gets one that was found after
 * it, or NULL: worth a warning. Returns 0; -ENOENT: there is none; -EINVAL for a bad name; or -ENOMEM. */
int definition_find(const Settings *settings, const char *name, char **ret_path, char **ret_shadowed);

/* Reads the definition of image @name. Returns 0; -EINVAL for what the file holds; -EFBIG, -EISDIR, or another -errno from
 * opening or reading it. @reterr_problem, zero before, then says what is wrong and where; it refers to @path. */
int definition_load(const char *path, const char *name, Definition **ret, Problem *reterr_problem);

/* The same from memory, where no file is named (tests, fuzzers). */
int definition_parse(const char *data, size_t size, const char *path, const char *name, Definition **ret,
                     Problem *reterr_problem);

/* Puts the machine settings that the definition gives over @settings. 0 or -ENOMEM. */
int definition_apply(const Definition *definition, Settings *settings);

/* The settings of jobs of image @name: @configuration's with what its definition says over them. 0 with @ret to be
 * settings_done(); a negative error, whose reason is not told, where it has no definition that can be used. */
int definition_settings(const Settings *configuration, const char *name, Settings *ret);

/* May jobs of image @name, with @settings, be given what `bind` and `bind_ro` say, or would it be in reach of jobs of other
 * images, with what their definitions or @configuration say? 0; -EINVAL with a sentence in @reterr_problem
 * (config/binds.h); or another -errno. Definitions that cannot be used are passed over: their jobs do not start. */
int definition_check_binds(const Settings *configuration, const char *name, const Settings *settings,
                           Problem *reterr_problem);

/* The names of the images that have a definition, sorted, each once; NULL where there is none. @ret_unusable (may be
 * NULL) gets the paths of files that cannot be one, because their names are no images' names. Both are for strv_free().
 * 0 or -errno. */
int definition_list(const Settings *settings, char ***ret_names, char ***ret_unusable);

/* Sorts @definitions so that each comes after the one that it is made from, where that is among them, and otherwise
 * leaves their order. Those that depend on themselves by way of others, or on such, come last: their entry of
 * @reterr_problems (@n, in the new order) says why, with file, line and column; the text of all others is empty. 0 or -ENOMEM. */
int definition_order(Definition **definitions, size_t n, Problem *reterr_problems);

/* One variable of ours, for who lists them: help and the test of the man page. */
typedef struct DefinitionVariable {
        char name[64]; /* with the prefix */
        const SettingInfo *info;
        bool machine; /* a machine setting, whose default is what the configuration says */
} DefinitionVariable;

/* Variable @i, the ones of images first; false after the last. */
bool definition_variable(size_t i, DefinitionVariable *ret);
