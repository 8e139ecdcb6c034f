/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* One process at a time changes an image: the one that holds the lock of its staging directory (image/staging.h). It writes
 * beside the lock who it is, so that those who wait can say whom they wait for. Only the lock decides: the kernel drops it
 * with its holder, and what is written counts only while the lock is held and that process exists. */

#define TURN_COMMAND_MAX 32

typedef struct TurnHolder {
        pid_t pid; /* 0: not known, and the rest means nothing */
        uint64_t start;
        uint64_t since_usec; /* wall clock */
        char command[TURN_COMMAND_MAX];
} TurnHolder;

typedef struct Turn {
        const char *command; /* our command, for the messages of those who wait for us */
        bool wait;           /* as long as it takes; false: at most 10 s, and not for a process that makes a tree */
        int cancel_fd;       /* stops waiting when readable; negative: nothing stops it */
        /* Called when we begin to wait for a process, unless it is done in a moment. May be NULL. */
        void (*on_wait)(void *userdata, const TurnHolder *holder);
        void *userdata;
        TurnHolder holder; /* result, with -EBUSY: who has the lock */
} Turn;

/* Writes into the locked directory that we hold it. Best effort: it is for messages only. */
void turn_note(const Turn *turn, int lock_fd);

/* Who wrote so into the directory @lock_fd (negative: one that is gone), if that process still exists. */
TurnHolder turn_holder(int lock_fd);

/* How long we have been waiting, and for whom. */
typedef struct TurnWait {
        uint64_t begin_usec; /* monotonic; 0: we do not wait yet */
        bool said;
        TurnHolder holder; /* that on_wait was called for */
} TurnWait;

/* Waits for a moment, while another process has the lock of @lock_fd (negative: of a directory that is gone), and
 * @makes_tree or does not. 0: try to lock again; -EBUSY: give up; -ECANCELED. @turn may be NULL. */
int turn_wait(Turn *turn, TurnWait *wait, int lock_fd, bool makes_tree);

#define TURN_TEXT_BYTES 96
/* For people: "chroot-login (PID 4711, since 12:03)", or "another process". */
const char *turn_describe(const TurnHolder *holder, char ret[static TURN_TEXT_BYTES]);
