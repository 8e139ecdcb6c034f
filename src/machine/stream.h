/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/lines.h"

/* The outputs of a step, copied from the container to ours, and its input, copied there. Nothing here waits: the caller
 * polls. */

/* One of the two outputs. */
typedef struct Stream {
        int source_fd; /* read end of a pipe of the container; negative: closed */
        int target_fd;
        Lines *lines;     /* get what comes, instead of the target; or NULL */
        bool splice;      /* does the target take splice()? */
        bool terminal;    /* the source is one */
        bool deaf;        /* the target is closed: throw away */
        bool blocked;     /* there is data, but the target takes none now */
        size_t remaining; /* after the step ended: what it has left in the pipe */
} Stream;

/* Not yet connected to a source; the target stays the caller's. */
Stream stream_to(int target_fd);
/* The same with @lines, the caller's, as the target. */
Stream stream_to_lines(Lines *lines);
/* Closes the source, which ends the last line. */
void stream_close(Stream *stream);
/* Copies what is in the pipe now, at most stream->remaining, as far as the target takes it. Without such a limit it stops
 * after a while, or a step that writes faster than we copy would keep us from all else. At the end of the file, or of what
 * remains, the source is closed. */
void stream_copy(Stream *stream);
/* The step has ended: copies what it left in the pipe. What its background processes write from now on is not its output,
 * and may never end. */
void stream_finish(Stream *stream);

/* The input. What was read and not yet taken waits here, so that the output is copied even if the step does not read. */
typedef struct Input {
        int source_fd; /* ours; negative: at its end, or there is none */
        int target_fd; /* write end of a pipe of the container; negative: not yet there, or closed */
        bool ended;    /* there is no more to read */
        char *buffer;
        size_t offset, size;
} Input;

/* Makes the buffer if there is a source. 0 or -ENOMEM; either way input_done() is for the caller to call. */
int input_begin(Input *input);
/* Reads or writes once, after poll() said that this would not wait. */
void input_copy(Input *input);
/* Nothing more comes, or the step takes no more: closes the target, so that the step reads the end of the file. */
void input_close(Input *input);
/* The same, and frees the buffer. */
void input_done(Input *input);
