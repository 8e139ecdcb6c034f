/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"

/* The runner that config.toml is to have. */
typedef struct SetupRunner {
        const char *name;  /* tells it from others */
        const char *url;   /* NULL: the one that is there stays */
        const char *token; /* the same */
        const char
                *section; /* [[runners]] and what follows, for a file without a runner of that name. NULL: it has one,
                              * or this is an error */
} SetupRunner;

typedef enum SetupOutcome {
        SETUP_UNCHANGED = 1, /* the runner is there as it should be */
        SETUP_CHANGED,       /* values of it were replaced */
        SETUP_ADDED,
} SetupOutcome;

/* What config.toml has of the runner. */
typedef struct SetupFound {
        bool found, has_url, has_token;
} SetupFound;

/* Looks for the runner called @name in @text. 0, -ENOMEM, or -EINVAL with @reterr_problem filled in: @text is no TOML, or
 * the runner is one that is not ours. */
int setup_find(const char *text, const char *name, SetupFound *ret, Problem *reterr_problem);

/* Puts the runner into @text; everything else stays as it is, byte for byte, but "concurrent" is added if it is
 * missing, without which GitLab Runner does not start. *ret is to be freed. A SetupOutcome; or an error as above. */
int setup_merge(const char *text, const SetupRunner *runner, char **ret, Problem *reterr_problem);
