/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/listener.h"
#include "base/problem.h"
#include "definition/definition.h"
#include "image/turn.h"

/* Makes one image, or brings it up to date, as its definition says. All work is done on a hidden tree, which becomes
 * the image's next generation in one step: jobs that start meanwhile get either the old tree or the new one, and a
 * failure leaves the old tree in place. */

typedef enum MakeOutcome {
        MAKE_CREATED,
        MAKE_UPDATED,
        MAKE_UNCHANGED, /* it was up to date */
} MakeOutcome;

typedef struct MakeRequest {
        const Settings *settings; /* the configuration's */
        const Definition *definition;
        bool only_new; /* fail with -EEXIST if the image exists already */
        Turn *turn;    /* how to wait while another process changes the image; with the listener's cancel_fd */
        const Listener *listener; /* hears of steps; when it cancels, everything is stopped and undone */
} MakeRequest;

typedef struct MakeResult {
        MakeOutcome outcome;
        uint64_t generation; /* number of the new generation; 0 for MAKE_UNCHANGED */
        char *warning;       /* after success: a sentence about the image, or NULL */
        Problem problem;     /* after a failure: a sentence, without the image's name */
        bool existed;        /* there was an image before; a failure leaves it as it was */
        bool kept;           /* after a failure: the tree is kept for the next try (maintain/kept-tree.h) */
        bool said_why;       /* after a failure: a program printed the reason, which on_line passed on */
} MakeResult;

void make_result_done(MakeResult *result);
#define _cleanup_make_result_ _cleanup_(make_result_done)

/* Makes or updates the image. Returns 0; -EEXIST; -EBUSY: another process is changing the image; -ECANCELED; -EINVAL:
 * this host cannot do what the definition wants; -EIO: a program failed; or another -errno. After a failure
 * @ret->problem has a sentence (unless memory ran out), nothing runs any more, and the next call or `gc` removes what
 * is left in the staging directory. */
int make_image(const MakeRequest *request, MakeResult *ret);
