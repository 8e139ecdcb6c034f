/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "base/problem.h"
#include "definition/definition.h"
#include "image/turn.h"

/* Makes one image, or brings it up to date, as its definition says. All work is done on a tree out of sight, which then
 * becomes the image's next generation in one step: jobs that start meanwhile get the old tree or the new one, and after a
 * failure there is the old one. */

typedef enum MakeOutcome {
        MAKE_CREATED,
        MAKE_UPDATED,
        MAKE_UNCHANGED, /* what there is, is what would be made */
} MakeOutcome;

typedef struct MakeRequest {
        const Settings *settings; /* the configuration's */
        const Definition *definition;
        bool only_new; /* an image that is there already is an error, -EEXIST */
        Turn *turn;    /* what to do while another process changes the image; its cancel_fd is the listener's */
        const Listener *listener; /* everything is stopped and undone when it cancels */
} MakeRequest;

typedef struct MakeResult {
        MakeOutcome outcome;
        uint64_t generation; /* number of the new one; 0 for MAKE_UNCHANGED */
        char *warning;       /* about an image that was made, a sentence; or NULL */
        Problem problem;     /* of a failure: a sentence, without the image's name */
        bool existed;        /* there was an image before, which a failure leaves as it was */
        bool kept;           /* after a failure: the tree is kept for the next try (maintain/kept-tree.h) */
        bool said_why;       /* the program that failed has printed why, on on_line */
} MakeResult;

void make_result_done(MakeResult *result);
#define _cleanup_make_result_ _cleanup_(make_result_done)

/* Returns 0, or with @ret->problem filled in unless memory ran out: -EEXIST; -EBUSY: another process works on the image;
 * -ECANCELED; -EINVAL for what the definition wants and cannot be had; -EIO for a program that failed; or another
 * -errno. After a failure nothing runs any more; what is left in the staging directory is for the next call or `gc`. */
int make_image(const MakeRequest *request, MakeResult *ret);
