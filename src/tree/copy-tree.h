/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Copies everything in the directory @source_fd, and its own attributes, to the empty directory @target_fd: data
 * (shared if the file system can, with holes), hard links, symlinks, fifos, sockets, device nodes, owners, modes, times
 * to the nanosecond, extended attributes with access lists and capabilities. It uses several threads.
 *
 * It follows no symlink and enters no mount: a directory with something mounted on it comes out empty. @skip_attributes
 * (NULL-terminated, or NULL) are names of extended attributes that @target_fd itself does not get. When @cancel_fd
 * (negative: none) becomes readable, gives up with -ECANCELED. The source must not change meanwhile. 0, or -errno with
 * @target_fd partly filled. */
int copy_tree(int source_fd, int target_fd, const char *const skip_attributes[], int cancel_fd);
