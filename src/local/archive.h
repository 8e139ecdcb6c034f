/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/problem.h"
#include "local/call.h"

/* Archives of caches and artifacts, as GitLab Runner makes them: zip, or tar with zstd. They are made from bundles
 * (wire/bundle.h) that come out of containers, and become bundles again, so that no files are made on the host in between.
 * libarchive knows the formats; without it (-ENOENT) nothing here works. All run without rights: what is in an archive or a
 * bundle is hostile. Each ends, with caller_check()'s error, when @caller's job is to end. */

typedef enum ArchiveFormat { ARCHIVE_ZIP, ARCHIVE_TAR_ZSTD } ArchiveFormat;

/* Writes what bundle @bundle_fd has to @archive_fd. @level: from 0 to 9, or -1 for the usual one. 0; or -errno with
 * @reterr_problem. */
int archive_from_bundle(Caller *caller, int bundle_fd, int archive_fd, ArchiveFormat format, int level,
                        Problem *reterr_problem);

/* The other way round; of any format. Paths that lead outside are left out. */
int archive_to_bundle(Caller *caller, int archive_fd, int bundle_fd, Problem *reterr_problem);

/* Makes the files of bundle @bundle_fd below directory @directory_fd, as the user we are. Symlinks that lead outside, or could,
 * are left out, and none is followed. -EFBIG: there are more than @caller allows, of which some
 * were made. *ret_n_left_out (may be NULL) says how many. 0; or -errno with @reterr_problem. */
int bundle_to_directory(Caller *caller, int bundle_fd, int directory_fd, size_t *ret_n_left_out,
                        Problem *reterr_problem);
