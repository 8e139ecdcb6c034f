/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "agent/index.h"
#include "wire/bundle.h"

/* Threads that make files at the same time, as many as there are CPUs, up to four. They start when there is work for
 * them, and each has at most two batches of it in memory, of 128 KiB. */
typedef struct Crew Crew;

/* Files are made in @root_fd, and noted in @index, as place.h says. Both stay the caller's, who may change the index only after
 * crew_wait(). NULL: there is no memory. */
Crew *crew_new(int root_fd, mode_t umask, const GitIndex *index);

/* Waits for what it was given. NULL is fine. */
void crew_free(Crew *crew);
DEFINE_CLEANUP(Crew *, crew_free)

/* Does it take the file @entry? Not one that is too large to be kept in memory, and nothing on a machine with one CPU. */
bool crew_takes(const Crew *crew, const BundleEntry *entry);

/* Takes the file @entry (BUNDLE_FILE), whose content is read from @reader, and makes it before crew_wait() returns, in
 * any order. 0, or -errno if it cannot be read. */
int crew_put(Crew *crew, const BundleEntry *entry, BundleReader *reader);

/* Waits until all files are made. False: some could not be, since the last time; stderr says which. */
bool crew_wait(Crew *crew);
