/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* One process at a time changes an image: the one that holds the lock of its staging directory (image/staging.h). It
 * writes into that directory who it is, so that processes that wait can say for whom. Only the lock decides: the kernel
 * releases it when its holder ends, and what is written counts only while the lock is held and that process exists. */

#define TURN_COMMAND_MAX 31

typedef struct TurnHolder {
        pid_t pid; /* 0: not known, and the rest means nothing */
        uint64_t start;
        uint64_t since_usec; /* wall clock */
        char command[TURN_COMMAND_MAX + 1];
} TurnHolder;

typedef struct Turn {
        const char *command; /* our command, for the messages of those who wait for us */
        bool wait;           /* true: as long as it takes; false: at most 10 s, and not for a process that makes a
                              * tree */
        int cancel_fd;       /* stops waiting when readable; negative: nothing stops it */
        /* Called when we begin to wait for a process, unless it releases the lock in a moment. May be NULL. */
        void (*on_wait)(void *userdata, const TurnHolder *holder);
        void *userdata;
        TurnHolder holder; /* set with -EBUSY: who has the lock */
} Turn;

/* Writes into the locked directory @lock_fd that we hold the lock. Best effort: it is only for messages. */
void turn_note(const Turn *turn, int lock_fd);

/* Returns which process wrote this into the directory @lock_fd (negative: the directory is gone); PID 0: none, or it
 * does not exist any more. */
TurnHolder turn_holder(int lock_fd);

/* How long we have been waiting, and for whom. */
typedef struct TurnWait {
        uint64_t begin_usec; /* on the monotonic clock; 0: we do not wait yet */
        bool said;
        TurnHolder holder; /* the one that on_wait was called for */
} TurnWait;

/* Waits for a moment while another process has the lock of the directory @lock_fd (negative: the directory is gone).
 * @makes_tree: that process makes a tree. Returns 0: try to lock again; -EBUSY: give up; or -ECANCELED. @turn may be
 * NULL. */
int turn_wait(Turn *turn, TurnWait *wait, int lock_fd, bool makes_tree);

#define TURN_TEXT_BYTES 96
/* Describes the holder for people: "chroot-login (PID 4711, since 12:03)", or "another process". Returns @ret. */
const char *turn_describe(const TurnHolder *holder, char ret[static TURN_TEXT_BYTES]);
