/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <signal.h>

#include "base/lines.h"

/* The outputs of a step, copied from the container to ours, and its input, copied there. Nothing here waits: the caller
 * polls. */

/* What was read and not yet written. */
typedef struct Rest {
        char *buffer;
        size_t offset, size;
} Rest;

/* One of the two outputs. */
typedef struct Stream {
        int source_fd; /* read end of a pipe of the container; negative: closed */
        int target_fd;
        Lines *lines;     /* get what comes, instead of the target; or NULL */
        bool splice;      /* does the target take splice()? */
        Rest rest;        /* of a terminal: has a buffer if the source is one */
        bool deaf;        /* the target is closed: throw away */
        bool blocked;     /* there is data, but the target takes none now */
        size_t remaining; /* after the step ended: what it has left in the pipe */
} Stream;

/* Until brief_end(), reads and writes of terminals in this file give up after a moment instead of waiting: whoever
 * has a duplicate of our descriptor can clear O_NONBLOCK for both. Uses SIGALRM and its timer. */
typedef struct Brief {
        struct sigaction action;
        sigset_t mask;
} Brief;
void brief_begin(Brief *ret);
void brief_end(const Brief *brief);

/* A stream without a source yet; the target stays the caller's. */
Stream stream_to(int target_fd);
/* The same with @lines, the caller's, as the target. */
Stream stream_to_lines(Lines *lines);
/* Makes it a stream from a terminal to a terminal. Between brief_begin() and brief_end(), nothing that others do with
 * these terminals can make it wait. 0 or -ENOMEM; after 0, call stream_done(). */
int stream_terminal(Stream *stream);
/* Closes the source, which ends the last line. */
void stream_close(Stream *stream);
/* The same, and frees the buffer. */
void stream_done(Stream *stream);
/* Copies what is in the pipe now, at most stream->remaining, as far as the target takes it. Without that limit it
 * stops after a while, so that a step that writes faster than we copy does not keep us from everything else. Closes
 * the source at the end of the file, or when nothing remains. */
void stream_copy(Stream *stream);
/* The step has ended: copies what it left in the pipe. What its background processes write from now on is not its output,
 * and may never end. */
void stream_finish(Stream *stream);

/* The input. What was read and not yet taken waits here, so that the output is copied even if the step does not read. */
typedef struct Input {
        int source_fd; /* ours; negative: at its end, or there is none */
        int target_fd; /* write end of a pipe of the container; negative: not yet there, or closed */
        bool ended;    /* there is no more to read */
        /* The source is a terminal in raw mode: it is read also while the step takes nothing, because the person may type
         * the way out, which is Ctrl-] three times within a second. */
        bool terminal;
        bool left; /* that was typed */
        unsigned n_escapes;
        uint64_t escape_usec; /* when the first of them was */
        Rest rest;
} Input;

/* Makes the buffer if there is a source. 0 or -ENOMEM; either way input_done() is for the caller to call. */
int input_begin(Input *input);
/* Reads once and writes once. Call it only after poll() said that this does not wait. */
void input_read(Input *input);
void input_write(Input *input);
/* Nothing more comes, or the step takes no more: closes the target, so that the step reads the end of the file. */
void input_close(Input *input);
/* The same, and frees the buffer. */
void input_done(Input *input);
