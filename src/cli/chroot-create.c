/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `chroot-create`: makes an image that is not there yet, by its definition or of a suite. Never replaces
 * anything that has the image's name. */

#include <fcntl.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/string.h"
#include "cli/chroot-create.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "cli/make-common.h"
#include "image/generation.h"
#include "image/image.h"
#include "source/builder.h"

/* A longer chain of images counts as a circle. */
#define BASES_MAX 32U

static int refuse_existing(const Settings *settings, const char *name) {
        _cleanup_free_ char *path = NULL;

        if (string_printf(&path, "%s/%s", settings->root_dir, name) < 0)
                return log_oom();
        if (!exists_at(AT_FDCWD, path))
                return 0;
        log_error("'%s' already exists in '%s'. To update an image that has a definition, call 'nspawn-runner "
                  "chroot-maintenance %s'; to remove an image, 'nspawn-runner chroot-remove %s'",
                  name, settings->root_dir, name, name);
        return -EEXIST;
}

/* Makes the images that this one is made from, directly or not, if they are missing and have definitions. */
static int create_bases(const Invocation *invocation, const Definition *definition, int cancel_fd, unsigned depth) {
        const Settings *settings = invocation->settings;
        _cleanup_definition_ Definition *base = NULL;
        _cleanup_make_result_ MakeResult result = { 0 };
        _cleanup_image_ Image *image = NULL;

        if (definition->source.kind != SOURCE_FROM ||
            image_open(settings->root_dir, definition->source.from, &image) >= 0)
                return 0;
        if (depth >= BASES_MAX) {
                log_error("Image '%s' would be made from itself, or from more than %u others", definition->source.from,
                          depth);
                return -EINVAL;
        }
        int r = find_definition_logged(settings, definition->source.from, &base);
        if (r == -ENOENT)
                return 0; /* making the image will report that there is none */
        if (r < 0)
                return r;
        r = create_bases(invocation, base, cancel_fd, depth + 1);
        if (r != 0)
                return r;
        log_notice("Making image '%s' first, which '%s' is made from", base->name, definition->name);
        return make_image_logged(invocation, base, MAKE_MISSING, cancel_fd, &result);
}

/* An image that nobody wrote a definition of. */
static int define_logged(const char *name, const char *suite, Definition **ret) {
        if (streq(name, HELPER_IMAGE))
                return helper_definition_logged(suite, ret);
        return new_definition(name, ret) < 0 ? log_oom() : 0;
}

int create_image_logged(const Invocation *invocation, const char *name, const char *suite, bool may_exist,
                        int cancel_fd) {
        const Settings *settings = invocation->settings;
        _cleanup_definition_ Definition *definition = NULL;
        _cleanup_make_result_ MakeResult result = { 0 };

        int r = find_definition_logged(settings, name, &definition);
        const bool defined = r >= 0;
        if (r < 0 && r != -ENOENT)
                return r;
        r = may_exist ? 0 : refuse_existing(settings, name);
        if (r < 0)
                return r;

        r = defined ? 0 : define_logged(name, suite, &definition);
        if (r == 0 && (suite || !defined || definition->source.kind == SOURCE_NONE))
                r = choose_suite_logged(definition, suite);
        if (r < 0)
                return r;
        r = create_bases(invocation, definition, cancel_fd, 0);
        const MakeMode mode = may_exist ? MAKE_MISSING : MAKE_NEW;
        return r != 0 ? r : make_image_logged(invocation, definition, mode, cancel_fd, &result);
}

static int run(const Invocation *invocation) {
        _cleanup_close_ int cancel_fd = open_cancel_fd_logged();

        if (cancel_fd < 0)
                return cancel_fd;
        return create_image_logged(invocation, invocation_argument(invocation, 0),
                                   invocation_option(invocation, "suite"), false, cancel_fd);
}

static const CommandOption options[] = {
        { "suite", "SUITE", "release of Debian or Ubuntu, such as bookworm; default: the host's", 0 },
        NO_WAIT_OPTION,
        { 0 },
};

const Command command_chroot_create = {
        .name = "chroot-create",
        .synopsis = "NAME",
        .min_arguments = 1,
        .max_arguments = 1,
        .options = options,
        .flags = COMMAND_DEFINITION | COMMAND_ROOT | COMMAND_STATUS,
        .run = run,
        .help = "Make an image, as its definition says, or of Debian or Ubuntu",
};
