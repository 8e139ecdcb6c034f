/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "command/command.h"
#include "config/settings.h"
#include "image/image.h"
#include "image/turn.h"

/* For commands that an administrator gives an image. All functions log what goes wrong. */

/* image_list(); warns of each directory that cannot be looked at. 0; 1: there are such; or -errno, not logged. */
int list_images(const char *root_dir, char ***ret_names);

/* The only one of @names beside the helper image; NULL if there are several, or none: *ret_n says how many. It belongs to
 * @names. */
const char *only_image(char *const *names, size_t *ret_n);

/* Logs the names of all images. */
void log_available_images(const Settings *settings);

/* Logs that there is no image, or no generation, called @reference, and which there are. */
void log_no_image(const Settings *settings, const char *reference);

/* Logs that image @name, which exists, has no generation before the current one, and which there are. */
void log_no_earlier_generation(const Settings *settings, const char *name);

/* Can an image of this host be called @name? 0; or -EINVAL: it cannot, and why. */
int check_image_name_logged(const char *name);

/* Logs that file @path is where a definition would be that no image can have. */
void log_no_definition(const char *path);

/* generation_hold_reference(), or image_cache_hold() for an image of a registry; logs why it failed. 0 or -errno. */
int hold_image_logged(const Settings *settings, const char *reference, Image **ret);

/* The settings for containers of image @name: those of the configuration, and over them what the image's definition
 * says, if it has one. *ret is @settings itself or @storage; after 0, call settings_done() for @storage. 0; -EINVAL:
 * the definition cannot be used; or another -errno. */
int image_settings_logged(const Settings *settings, const char *name, Settings *storage, const Settings **ret);

/* Before image @name is changed by hand: warns if its definition says what it is made from, because maintenance will
 * make it anew without that change. 0; -EINVAL: the definition cannot be used; or another -errno, logged. */
int warn_of_definition(const Settings *settings, const char *name);

/* definition_check_binds(); logs why it failed. */
int binds_checked_logged(const Settings *configuration, const char *name, const Settings *settings);

/* Commands that change images wait for each other, unless this option is given. */
#define NO_WAIT_OPTION \
        { "no-wait", NULL, "fail at once when another process is changing the image", 0 }

typedef struct ImageTurn {
        const char *name; /* of the image, for messages */
        Turn turn;
} ImageTurn;

/* Prepares to wait for others, for a command with that option. Waiting is logged, with whom it waits for. The result
 * must not be moved. */
void image_turn_init(const Invocation *invocation, const char *name, int cancel_fd, ImageTurn *ret);

/* Logs who is changing the image, after -EBUSY, which it returns. */
int log_busy(const ImageTurn *turn);

/* The same where an image could not be held, which @reference may name in any form. */
int log_image_busy(const Settings *settings, const char *reference);
