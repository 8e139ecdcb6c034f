/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "base/problem.h"
#include "definition/definition.h"
#include "image/turn.h"

/* Makes one image, or brings it up to date, as its definition says. All work is done on a hidden tree, which becomes the
 * image's next generation in one step: jobs that start meanwhile get the old tree or the new one, and a failure leaves the
 * old one. */

typedef enum MakeOutcome {
        MAKE_CREATED,
        MAKE_UPDATED,
        MAKE_UNCHANGED, /* it was up to date */
} MakeOutcome;

typedef struct MakeRequest {
        const Settings *settings; /* the configuration's */
        const Definition *definition;
        bool only_new; /* if the image exists already, fail with -EEXIST */
        Turn *turn;    /* what to do while another process changes the image; its cancel_fd is the listener's */
        const Listener *listener; /* everything is stopped and undone when it cancels */
} MakeRequest;

typedef struct MakeResult {
        MakeOutcome outcome;
        uint64_t generation; /* number of the new one; 0 for MAKE_UNCHANGED */
        char *warning;       /* after success: a sentence about the image, or NULL */
        Problem problem;     /* after a failure: a sentence, without the image's name */
        bool existed;        /* there was an image before, which a failure leaves as it was */
        bool kept;           /* after a failure: the tree is kept for the next try (maintain/kept-tree.h) */
        bool said_why;       /* after a failure: a program said why by on_line */
} MakeResult;

void make_result_done(MakeResult *result);
#define _cleanup_make_result_ _cleanup_(make_result_done)

/* Returns 0, or with @ret->problem filled in unless memory ran out: -EEXIST; -EBUSY: another process works on the image;
 * -ECANCELED; -EINVAL: this host cannot do what the definition wants; -EIO: a program failed; or another
 * -errno. After a failure nothing runs any more; what is left in the staging directory is for the next call or `gc`. */
int make_image(const MakeRequest *request, MakeResult *ret);
