/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "config/settings.h"
#include "source/spec.h"

/* The definition of an image: a playbook of ansible, whose first play has our variables in `vars:`. All other variables,
 * and the rest of the file, are ansible's. */

#define DEFINITION_PREFIX "nspawn_runner_"

typedef struct Definition {
        char *name; /* of the image */
        char *path; /* of the file; absolute if definition_find() found it */

        /* Relative paths in it have been completed with the definition's directory. */
        SourceSpec source;
        unsigned from_line, from_column; /* place of nspawn_runner_from, if that is given */
        unsigned ignored_line;           /* of variables that look like ours, in a later play; 0: there are none */

        bool recreate;             /* maintenance makes the image anew instead of updating it */
        uint64_t keep_generations; /* at least 1: the current one is one of them */
        char **test;               /* argv, like create_command, to run in a container of the image; or NULL */
        char **service_command;    /* argv, likewise: what it runs as a service; or NULL */
        char **service_ports;      /* TCP ports that it listens on as a service, decimal; or NULL */
        bool has_tasks;            /* some play has tasks, so ansible-playbook has to run */

        /* Settings of containers, for definition_apply(), and which of them the definition gives. */
        Settings settings;
        bool settings_given[SETTINGS_MAX];
        unsigned setting_lines[SETTINGS_MAX]; /* where; 0: not given */
} Definition;

void definition_free(Definition *definition);
DEFINE_CLEANUP(Definition *, definition_free)
#define _cleanup_definition_ _cleanup_(definition_freep)

/* Looks for the definition of image @name: NAME.yaml and NAME.yml in definitions_dir, then in root_dir; the first
 * one found is used. @ret_shadowed (NULL: do not look) gets the second one found, which deserves a warning, or NULL. Both
 * paths are to be freed. 0; -ENOENT: there is none; -EINVAL for a name that no image can have; or -ENOMEM. */
int definition_find(const Settings *settings, const char *name, char **ret_path, char **ret_shadowed);

/* Reads the definition of image @name. Returns 0; -EINVAL: the file's content is wrong; -EFBIG, -EISDIR, or another
 * -errno from opening or reading it. On failure @reterr_problem, which must be zeroed before, says what is wrong and
 * where; it refers to @path. */
int definition_load(const char *path, const char *name, Definition **ret, Problem *reterr_problem);

/* The same from memory, for tests and fuzzers. */
int definition_parse(const char *data, size_t size, const char *path, const char *name, Definition **ret,
                     Problem *reterr_problem);

/* Replaces those of @settings that the definition gives. 0 or -ENOMEM. */
int definition_apply(const Definition *definition, Settings *settings);

/* Makes the settings of jobs of image @name: @configuration with the image's definition applied. 0 with @ret for
 * settings_done(); or -errno: there is no definition, or it cannot be used. */
int definition_settings(const Settings *configuration, const char *name, Settings *ret);

/* May jobs of image @name get the binds in @settings, beside jobs of other images with the binds of their definitions
 * or of @configuration? See binds_check_between(). 0; -EINVAL with @reterr_problem filled in; or another -errno, also
 * where a definition cannot be read now. Definitions that cannot be used at all do not count: their jobs do not start. */
int definition_check_binds(const Settings *configuration, const char *name, const Settings *settings,
                           Problem *reterr_problem);

/* The names of the images that have a definition, sorted, each once; NULL: there are none. @ret_unusable (may be NULL) gets
 * the paths of files that would be definitions if an image could have their name. Both are for strv_free(). 0 or
 * -errno. */
int definition_list(const Settings *settings, char ***ret_names, char ***ret_unusable);

/* Sorts @definitions so that each comes after the one that it is made from, if that is among them; otherwise the order
 * stays. Images that would be made from themselves, directly or through others, or from such an image, come last. Their
 * entries of @reterr_problems (@n, in the new order) say why and where; the text of all others is empty. 0 or -ENOMEM. */
int definition_order(Definition **definitions, size_t n, Problem *reterr_problems);

/* One of our variables, for help and the test of the man page. */
typedef struct DefinitionVariable {
        char name[64]; /* with the prefix */
        const SettingInfo *info;
        bool machine; /* a setting of containers; the configuration gives its default */
} DefinitionVariable;

/* Returns variable @i in *ret, those of images first. False after the last. */
bool definition_variable(size_t i, DefinitionVariable *ret);
