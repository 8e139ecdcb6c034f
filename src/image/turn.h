/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* One process at a time changes an image: whoever holds the lock of its staging directory (image/staging.h). The holder
 * writes beside the lock who it is, and those who wait tell people. The lock alone decides: the kernel drops it with its
 * holder, and what is written is believed only while the lock is held and that very process is there. */

#define TURN_COMMAND_MAX 32

typedef struct TurnHolder {
        pid_t pid; /* 0: not known, and the rest means nothing */
        uint64_t start;
        uint64_t since_usec; /* wall clock */
        char command[TURN_COMMAND_MAX];
} TurnHolder;

typedef struct Turn {
        const char *command; /* ours, for those who will wait for us */
        bool wait;           /* for as long as it takes; else at most 10 s, and only for who makes no tree */
        int cancel_fd;       /* stops waiting when readable; negative: never */
        /* Called when we begin to wait for somebody, not for moments. May be NULL. */
        void (*on_wait)(void *userdata, const TurnHolder *holder);
        void *userdata;
        TurnHolder holder; /* out, with -EBUSY: who has the lock */
} Turn;

/* Writes to the locked directory that we have it. Best effort: nobody depends on it. */
void turn_note(const Turn *turn, int lock_fd);

/* How long we wait already, and for whom. */
typedef struct TurnWait {
        uint64_t begin_usec; /* monotonic; 0: we do not wait yet */
        bool said;
        TurnHolder holder; /* that on_wait was called for */
} TurnWait;

/* Somebody has the lock of @lock_fd (negative: of a directory that is gone), and @makes_tree or not: waits for a moment.
 * 0: look again; -EBUSY: that was all; -ECANCELED. @turn may be NULL. */
int turn_wait(Turn *turn, TurnWait *wait, int lock_fd, bool makes_tree);

#define TURN_TEXT_BYTES 96
/* For people: "chroot-login (PID 4711, since 12:03)", or "another process". */
const char *turn_describe(const TurnHolder *holder, char ret[static TURN_TEXT_BYTES]);
