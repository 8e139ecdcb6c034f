/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a command asks about its call. Commands and the rooms that work for one call this; filling in a call is the
 * matter of cli/arguments.c. It must never print: that an option does not exist is a mistake in the code. */

#include "command/command.h"

#include <assert.h>

#include "base/string.h"

const char *invocation_option(const Invocation *invocation, const char *name) {
        const CommandOption *options = invocation->command->options;

        for (unsigned i = 0; options && options[i].name; i++)
                if (streq(options[i].name, name))
                        return invocation->option_values[i];
        assert(!"the command has no such option");
        return NULL;
}

const char *invocation_option_at(const Invocation *invocation, const char *name, unsigned i) {
        for (unsigned k = 0; k < invocation->n_given; k++)
                if (streq(invocation->given[k].option->name, name) && i-- == 0)
                        return invocation->given[k].value;
        return NULL;
}

bool invocation_has(const Invocation *invocation, const char *name) {
        return invocation_option(invocation, name);
}

const char *invocation_argument(const Invocation *invocation, unsigned i) {
        return i < invocation->n_arguments ? invocation->arguments[i] : NULL;
}
