/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "cli/command.h"
#include "config/settings.h"
#include "image/image.h"
#include "image/turn.h"

/* What the commands that are given an image by an administrator share. They log what goes wrong. */

/* Tells the names of the images there are. */
void log_available_images(const Settings *settings);

/* Says that there is no image, or no generation, called @reference, and what there is. */
void log_no_image(const Settings *settings, const char *reference);

/* generation_hold_reference(), or image_cache_hold() for an image of a registry, with the reason logged. 0 or -errno. */
int hold_image_logged(const Settings *settings, const char *reference, Image **ret);

/* The settings for machines of image @name: those of the configuration, with what the image's definition says over them
 * where it has one. *ret is @settings itself or @storage, which then is to be settings_done(). 0; -EINVAL when the
 * definition cannot be used; or -errno. */
int image_settings_logged(const Settings *settings, const char *name, Settings *storage, const Settings **ret);

/* For who is about to change image @name by hand: warns if its definition says what it is made from, as it will be made
 * anew some day, without that change. 0; -EINVAL when the definition cannot be used; or -errno, logged. */
int warn_of_definition(const Settings *settings, const char *name);

/* definition_check_binds() with the reason logged. */
int binds_checked_logged(const Settings *configuration, const char *name, const Settings *settings);

/* Commands that change images wait for each other, unless they are told otherwise. */
#define NO_WAIT_OPTION \
        { "no-wait", NULL, "fail at once when another process is changing the image", 0 }

typedef struct ImageTurn {
        const char *name; /* of the image, for messages */
        Turn turn;
} ImageTurn;

/* What @invocation, of a command with that option, wants. It says for whom it waits. The result must stay where it is. */
void image_turn_init(const Invocation *invocation, const char *name, int cancel_fd, ImageTurn *ret);

/* Who is changing the image, when it was not waited for. Returns -EBUSY. */
int log_busy(const ImageTurn *turn);
