/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Where a bash is in an image, for the host, which looks whether there is one, and the agent, which starts it: in most of
 * them, in some without the link, and in the image that Docker calls bash. */
static const char *const bash_paths[] = { "/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash" };
