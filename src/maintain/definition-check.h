/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "base/problem.h"
#include "definition/definition.h"

/* Looks for everything that can be wrong with a definition, without making an image of it. */

typedef struct DefinitionCheck {
        const Settings *settings; /* the configuration's */
        const char *name;         /* of the image */
        const char *path;         /* of the definition */
        const Listener *listener; /* hears of steps that take long; its on_output gets what ansible prints */

        /* Called for each thing that is wrong or, with @is_warning, only deserves attention. @problem is valid during
         * the call. If its file is NULL, the whole file @path is meant. */
        void (*on_finding)(void *userdata, bool is_warning, const Problem *problem);
        void *userdata;
} DefinitionCheck;

/* Reads the definition, and checks its variables, its binds beside those of other images, its source as far as this
 * host knows without asking anybody, and, by ansible, its playbook. @ret, to be freed, stays NULL where the file cannot
 * be read as a definition. Returns 0, whatever was found; -ECANCELED; or -ENOMEM. */
int definition_check(const DefinitionCheck *check, Definition **ret);
