/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Command `chroot-remove`: removes an image with all its generations, or one old one, after a question. What holds no
 * image is never removed, and trees that jobs use stay until those end. */

#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string.h"
#include "cli/busy.h"
#include "cli/commands.h"
#include "cli/image-common.h"
#include "config/image-reference.h"
#include "definition/definition.h"
#include "image/generation-collect.h"
#include "image/generation.h"
#include "image/publish.h"
#include "maintain/image-roots.h"
#include "maintain/maintenance-log.h"
#include "terminal/ask.h"

static int explain(const Settings *settings, const char *name, int r) {
        switch (r) {
        case -ENOENT:
                log_no_image(settings, name);
                return r;
        case -ENOTDIR:
                log_error("'%s/%s' is not an image: it is not a directory (symlinks are not followed)",
                          settings->root_dir, name);
                return r;
        case -ENODATA:
                log_error("'%s/%s' is not an image, and was not removed: it holds no root file system",
                          settings->root_dir, name);
                return r;
        case -EXDEV:
                log_error("Image '%s' is a mount point: unmount it first", name);
                return r;
        default:
                return log_error_errno(r, "Cannot remove image '%s' from '%s': %m", name, settings->root_dir);
        }
}

/* 1 to go on, 0 for a "no", 128 + N for signal N, or -errno. */
static int ask(const char *name, bool generation) {
        char question[512];
        int signal = 0;

        _cleanup_close_ int signal_fd = signals_open();
        if (signal_fd < 0)
                return log_error_errno(signal_fd, "Cannot set up signals: %m");
        snprintf(question, sizeof(question), "Remove %s '%s'%s? [y/N] ", generation ? "generation" : "image", name,
                 generation ? "" : " with all its generations");
        bool yes = ask_yes_or_no(question, false, signal_fd, &signal);
        return signal > 0 ? 128 + signal : yes;
}

/* @root: the directory of images that has it as @name; @title: what people call it. */
static int remove_image(const Invocation *invocation, const char *root, const char *name, const char *title) {
        ImageTurn turn;

        image_turn_init(invocation, title, -EBADF, &turn);
        unsigned in_use = 0;

        busy_begin("Removing");
        int r = publish_remove(root, name, &turn.turn, &in_use);
        busy_end();
        if (r == -EBUSY)
                return log_busy(&turn);
        if (r < 0)
                return explain(invocation->settings, title, r);
        if (in_use > 0)
                log_notice("Image '%s' is removed. Jobs still use %u of its generations: 'nspawn-runner gc' removes "
                           "these later",
                           title, in_use);
        else
                log_notice("Image '%s' is removed", title);
        return 0;
}

/* @reference is NAME@NUMBER, @name its first part. */
static int remove_generation(const Invocation *invocation, const char *reference, const char *name, uint64_t number) {
        const Settings *settings = invocation->settings;
        ImageTurn turn;

        if (!invocation_has(invocation, "yes")) {
                int r = ask(reference, true);
                if (r == 0)
                        log_notice("Generation '%s' is as it was", reference);
                if (r != 1)
                        return r;
        }
        image_turn_init(invocation, name, -EBADF, &turn);
        int r = generation_remove(settings->root_dir, name, number, &turn.turn);
        switch (r) {
        case 0:
                log_notice("Generation '%s' is removed", reference);
                return 0;
        case GENERATION_IN_USE:
                return log_full(LOG_LEVEL_ERROR, -EBUSY,
                                "A job uses '%s': it was not removed. 'nspawn-runner status' shows "
                                "the jobs",
                                reference);
        case -EBUSY:
                return log_busy(&turn);
        case -EALREADY:
                return log_full(LOG_LEVEL_ERROR, r,
                                "'%s' is the current generation: 'nspawn-runner chroot-rollback %s' goes "
                                "back to an earlier one, 'nspawn-runner chroot-remove %s' removes the image",
                                reference, name, name);
        case -ENOENT:
                log_no_image(settings, reference);
                return r;
        default:
                return log_error_errno(r, "Cannot remove generation '%s' in '%s': %m", reference, settings->root_dir);
        }
}

/* An image can have such a name, too, and goes before. */
static bool names_generation(const Settings *settings, const char *name, char **ret_image, uint64_t *ret_number) {
        return publish_removable(settings->root_dir, name) == -ENOENT &&
               generation_split(name, ret_image, ret_number) >= 0;
}

static bool can_ask(const char *name) {
        if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO))
                return true;
        log_error("There is no terminal to ask whether to remove '%s': add --yes to remove it", name);
        return false;
}

static int run(const Invocation *invocation) {
        const Settings *settings = invocation->settings;
        const char *name = invocation_argument(invocation, 0);
        _cleanup_free_ char *split = NULL;
        uint64_t number;
        bool of_registry = strchr(name, '/'), sure = invocation_has(invocation, "yes");
        _cleanup_free_ char *cache = NULL, *cached = NULL, *definition = NULL;

        const char *problem = of_registry ? image_reference_problem(name) : image_name_problem(name);
        if (problem) {
                log_error("Image name '%.200s' %s", name, problem);
                return -EINVAL;
        }
        if (of_registry) {
                cached = image_reference_to_name(name);
                if (!cached || image_root_path(settings->root_dir, IMAGE_ROOT_REGISTRIES, &cache) < 0)
                        return log_oom();
        }

        if (!of_registry && names_generation(settings, name, &split, &number))
                return sure || can_ask(name) ? remove_generation(invocation, name, split, number) : COMMAND_MISUSED;
        const char *root = of_registry ? cache : settings->root_dir, *name_there = of_registry ? cached : name;
        int r = publish_removable(root, name_there);
        if (r < 0)
                return explain(settings, name, r);
        if (!sure && !can_ask(name))
                return COMMAND_MISUSED;
        r = sure ? 1 : ask(name, false);
        if (r == 0)
                log_notice("Image '%s' is as it was", name);
        if (r != 1)
                return r;
        r = remove_image(invocation, root, name_there, name);
        if (r == 0 && !of_registry)
                maintenance_log_remove(root, name);
        if (r == 0 && !of_registry && definition_find(settings, name, &definition, NULL) >= 0)
                log_notice("The next chroot-maintenance makes it again, unless you remove '%s'", definition);
        return r;
}

static const CommandOption options[] = {
        { "yes", NULL, "do not ask", 0 },
        NO_WAIT_OPTION,
        { 0 },
};

const Command command_chroot_remove = {
        .name = "chroot-remove",
        .synopsis = "NAME",
        .min_arguments = 1,
        .max_arguments = 1,
        .options = options,
        .flags = COMMAND_STATUS | COMMAND_ROOT,
        .run = run,
        .help = "Remove an image with all its generations, or one of them",
};
