/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Messages from the process of a job to the one that started it, through a pipe. */
typedef enum EventType {
        EVENT_SECTION = 1, /* a stage begins; text is its title */
        EVENT_LINE,        /* of the job's log, without its end */
        EVENT_TESTS,       /* what its reports of tests say, as junit_format() writes it */
        EVENT_KEPT,        /* its container stays; text is the job's id */
        EVENT_ENDED,       /* text says why it failed; "" for success */
} EventType;

#define EVENT_TEXT_MAX ((size_t) 64 * 1024)

typedef struct Event {
        uint32_t type;
        int32_t failed;    /* of EVENT_ENDED: see JobFailure */
        int32_t exit_code; /* of the script, or -1 */
        uint32_t size;
        char text[EVENT_TEXT_MAX + 1]; /* terminated, and may have more NULs */
} Event;

/* Why a job failed, as GitLab has it. */
typedef enum JobFailure {
        FAILURE_NONE,
        FAILURE_SCRIPT,
        FAILURE_SYSTEM,
        FAILURE_TIMEOUT,
        FAILURE_CANCELED,
} JobFailure;

/* 0 or -errno; what is too long is cut. */
int event_send(int fd, const Event *event);
int event_send_text(int fd, EventType type, const char *text, size_t size);
/* Reads a message that has begun to arrive, and waits for the rest of it. 1; 0: the process is gone; -EBADMSG; or
 * another -errno. */
int event_receive(int fd, Event *ret);
