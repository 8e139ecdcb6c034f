/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* Copies all that is in the directory @source_fd, and its own attributes, to the empty directory @target_fd: data (shared
 * where the file system can, with holes as they are), hard links, symlinks, fifos, sockets, device nodes, owners, modes,
 * times to the nanosecond, extended attributes with access lists and capabilities. Several threads work on it.
 *
 * No symlink is ever followed, and no mount entered: what something is mounted on comes out empty. Names in
 * @skip_attributes (NULL-terminated, or NULL) are extended attributes of @source_fd itself that @target_fd does not get.
 * When @cancel_fd (negative: none) becomes readable, gives up with -ECANCELED.
 * The source must not change meanwhile. 0, or -errno with @target_fd partly filled. */
int copy_tree(int source_fd, int target_fd, const char *const skip_attributes[], int cancel_fd);
