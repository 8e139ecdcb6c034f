/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the commands about images share: finding an image, its settings, waiting for others, and saying what is wrong.
 * These functions log, so a caller does not do it again. */

#include "cli/image-common.h"

#include <inttypes.h>

#include "base/log.h"
#include "base/string.h"
#include "config/binds.h"
#include "config/image-name.h"
#include "config/image-reference.h"
#include "definition/definition.h"
#include "image/generation.h"
#include "image/staging.h"
#include "maintain/image-roots.h"
#include "maintain/named-image.h"

int list_images(const char *root_dir, char ***ret_names) {
        _cleanup_strv_ char **broken = NULL;

        int r = image_list(root_dir, ret_names, &broken);
        if (r < 0)
                return r;
        for (char **text = broken; text && *text; text++)
                log_warning("Left out of the images in %s, because it cannot be looked at: %s", root_dir, *text);
        return broken ? 1 : 0;
}

const char *only_image(char *const *names, size_t *ret_n) {
        const char *only = NULL;
        size_t n = 0;

        for (; names && *names; names++)
                if (!streq(*names, HELPER_IMAGE)) {
                        only = *names;
                        n++;
                }
        *ret_n = n;
        return n == 1 ? only : NULL;
}

void log_available_images(const Settings *settings) {
        _cleanup_strv_ char **names = NULL;
        _cleanup_free_ char *list = NULL;

        if (image_list(settings->root_dir, &names, NULL) < 0)
                return;
        for (char **name = names; name && *name; name++)
                if (string_append(&list, ", ", "%s", *name) < 0)
                        return;
        if (list)
                log_notice("Images in %s: %s", settings->root_dir, list);
        else
                log_notice("There are no images in %s yet: make one with 'nspawn-runner chroot-create NAME'",
                           settings->root_dir);
}

/* What there is of image @name, such as "2, 3 (current)"; NULL if nothing. */
static char *list_generations(const Settings *settings, const char *name) {
        _cleanup_image_ Image *image = NULL;
        _cleanup_free_ uint64_t *numbers = NULL;
        _cleanup_free_ char *list = NULL;
        size_t n = 0;

        if (image_open(settings->root_dir, name, &image) < 0 ||
            generation_list_old(settings->root_dir, name, &numbers, &n) < 0)
                return NULL;
        for (size_t i = 0; i <= n; i++) {
                bool current = i == n;

                if (current && image->generation == 0)
                        break;
                if (string_append(&list, ", ", "%" PRIu64 "%s", current ? image->generation : numbers[i],
                                  current ? " (current)" : "") < 0)
                        return NULL;
        }
        return TAKE_PTR(list);
}

static const char *name_at(const void *userdata, size_t i) {
        char *const *names = userdata;

        return names ? names[i] : NULL;
}

/* The image, or the one that a definition would make, that @typed may have meant: to be freed; or NULL. */
static char *nearest_image(const Settings *settings, const char *typed) {
        _cleanup_strv_ char **names = NULL, **defined = NULL;

        if (image_list(settings->root_dir, &names, NULL) < 0 || definition_list(settings, &defined, NULL) < 0 ||
            strv_extend_strv(&names, defined) < 0)
                return NULL;
        int i = nearest_name(typed, name_at, names);
        return i < 0 ? NULL : strdup(names[i]);
}

void log_no_image(const Settings *settings, const char *reference) {
        _cleanup_free_ char *name = NULL, *path = NULL;
        uint64_t number;

        _cleanup_free_ char *generations = generation_split(reference, &name, &number) >= 0 ?
                                                   list_generations(settings, name) :
                                                   NULL;
        if (generations) {
                log_error("Image '%s' has no generation %" PRIu64 "; it has %s", name, number, generations);
                return;
        }
        _cleanup_free_ char *nearest = nearest_image(settings, reference);
        if (nearest)
                log_error("There is no image '%s'; did you mean '%s'?", reference, nearest);
        else
                log_error("There is no image '%s'", reference);
        if (definition_find(settings, reference, &path, NULL) >= 0)
                log_notice("'%s' defines it: 'nspawn-runner chroot-create %s' makes it", path, reference);
        log_available_images(settings);
}

void log_no_earlier_generation(const Settings *settings, const char *name) {
        _cleanup_free_ char *generations = list_generations(settings, name);

        log_error("Image '%s' has no earlier generation%s%s", name, generations ? "; it has " : "",
                  generations ? generations : "");
}

static int log_busy_with(const char *name, const TurnHolder *holder) {
        char who[TURN_TEXT_BYTES];

        return log_full(LOG_LEVEL_ERROR, -EBUSY, "Image '%s' is being changed by %s: try again when that is done", name,
                        turn_describe(holder, who));
}

int log_image_busy(const Settings *settings, const char *reference) {
        _cleanup_free_ char *root = NULL, *name = NULL;
        TurnHolder holder = { 0 };

        if (!image_reference_is(reference))
                staging_holder(settings->root_dir, reference, &holder);
        else if (image_root_path(settings->root_dir, IMAGE_ROOT_REGISTRIES, &root) >= 0 &&
                 (name = image_reference_to_name(reference)))
                staging_holder(root, name, &holder);
        return log_busy_with(reference, &holder);
}

int check_image_name_logged(const char *name) {
        const char *problem = image_name_problem(name);

        return problem ? log_full(LOG_LEVEL_ERROR, -EINVAL, "Image name '%.200s' %s", name, problem) : 0;
}

void log_no_definition(const char *path) {
        log_error("'%s' cannot be a definition: no image can have that name", path);
}

static int explain(const Settings *settings, const char *name, int r) {
        switch (r) {
        case -EINVAL:
                return check_image_name_logged(name);
        case -ENOENT:
                log_no_image(settings, name);
                return r;
        case -EBUSY:
                return log_image_busy(settings, name);
        case -ENODATA:
                log_error("'%s/%s' is not an image: it holds no root file system (empty, or half made)",
                          settings->root_dir, name);
                break;
        case -ENOTDIR:
                log_error("'%s/%s' is not an image: it is not a directory (symlinks are not followed)",
                          settings->root_dir, name);
                break;
        default:
                return log_error_errno(r, "Cannot open image '%s' in '%s': %m", name, settings->root_dir);
        }
        log_available_images(settings);
        return r;
}

int image_settings_logged(const Settings *settings, const char *name, Settings *storage, const Settings **ret) {
        _cleanup_definition_ Definition *definition = NULL;
        _cleanup_free_ char *path = NULL;
        Problem problem = { 0 };

        int r = definition_find(settings, name, &path, NULL);
        if (r == -ENOENT || r == -EINVAL) { /* a name that no definition can have */
                *ret = settings;
                return 0;
        }
        if (r < 0)
                return log_oom();
        r = definition_load(path, name, &definition, &problem);
        if (r < 0)
                return log_problem(r, &problem);

        if (settings_copy(settings, storage) < 0)
                return log_oom();
        if (definition_apply(definition, storage) < 0) {
                settings_done(storage);
                return log_oom();
        }
        /* Each setting is valid, or it would not have been read: here, they are checked together. */
        problem.file = path;
        r = binds_check(storage, &problem);
        if (r < 0) {
                settings_done(storage);
                return log_problem(r, &problem);
        }
        log_verbose("Settings of image '%s' come from '%s', too", name, path);
        *ret = storage;
        return 0;
}

static void on_wait(void *userdata, const TurnHolder *holder) {
        const ImageTurn *turn = userdata;
        char who[TURN_TEXT_BYTES];

        log_notice("Image '%s' is being changed by %s: waiting until that is done", turn->name,
                   turn_describe(holder, who));
}

void image_turn_init(const Invocation *invocation, const char *name, int cancel_fd, ImageTurn *ret) {
        *ret = (ImageTurn){
                .name = name,
                .turn = {
                        .command = invocation->command->name,
                        .wait = !invocation_has(invocation, "no-wait"),
                        .cancel_fd = cancel_fd,
                        .on_wait = on_wait,
                        .userdata = ret,
                },
        };
}

int log_busy(const ImageTurn *turn) {
        return log_busy_with(turn->name, &turn->turn.holder);
}

int warn_of_definition(const Settings *settings, const char *name) {
        _cleanup_definition_ Definition *definition = NULL;
        _cleanup_free_ char *path = NULL;
        Problem problem = { 0 };

        int r = definition_find(settings, name, &path, NULL);
        if (r == -ENOENT || r == -EINVAL)
                return 0;
        if (r < 0)
                return log_oom();
        r = definition_load(path, name, &definition, &problem);
        if (r < 0)
                return log_problem(r, &problem);
        if (definition->source.kind != SOURCE_NONE)
                log_warning("Image '%s' is made as '%s' says: what you change here is lost when chroot-maintenance "
                            "makes it anew. Put what is to last into that file",
                            name, path);
        return 0;
}

int binds_checked_logged(const Settings *configuration, const char *name, const Settings *settings) {
        Problem problem = { 0 };

        int r = definition_check_binds(configuration, name, settings, &problem);
        if (r == -EINVAL)
                log_error("Image '%s': %s", name, problem.text);
        else if (r < 0)
                log_error_errno(r, "Cannot look for other images' settings bind and bind_ro: %m");
        return r;
}

int hold_image_logged(const Settings *settings, const char *reference, Image **ret) {
        int r = named_image_hold(settings, reference, ret);

        return r < 0 ? explain(settings, reference, r) : 0;
}
