/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "machine/directory.h"

/* What a machine printed, as far as there is room: files `log.N` in its directory, where N is the number of bytes
 * that were printed before the file begins. The last MACHINE_LOG_SEGMENTS files stay. A reader remembers how many
 * bytes it has read, and learns how many of those that follow are gone. */
#define MACHINE_LOG_SEGMENT_BYTES (512 * 1024)
#define MACHINE_LOG_SEGMENTS 2
/* What there is at one moment at most. */
#define MACHINE_LOG_BYTES_MAX (MACHINE_LOG_SEGMENTS * MACHINE_LOG_SEGMENT_BYTES)

typedef struct MachineLog {
        const MachineDirectory *directory;
        int fd;          /* of the last file; negative: the next bytes begin one */
        size_t n;        /* how many files there are */
        uint64_t begin;  /* the number of the last one */
        uint64_t before; /* that of the one before */
        uint64_t end;    /* how many bytes there were in all */
} MachineLog;

#define MACHINE_LOG_NONE     \
        (MachineLog) {       \
                .fd = -EBADF \
        }

void machine_log_done(MachineLog *log);

/* Best effort: a machine does not end because its log is full. What cannot be written is missing in the log, and counts as
 * gone. */
void machine_log_append(MachineLog *log, const char *data, size_t size);

/* Reads on from byte *offset, at most one file. *ret (to be freed) and *ret_size get what is there, NULL and 0 where there
 * is nothing new; *ret_lost how many bytes before that are gone; *offset is then where the next call goes on. 0 or
 * -errno. */
int machine_log_read(const MachineDirectory *directory, uint64_t *offset, char **ret, size_t *ret_size,
                     uint64_t *ret_lost);
