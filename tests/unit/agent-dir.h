/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Included before everything else: where the agent under test keeps its scripts. Each test has a directory of its own,
 * which users of the image can reach, wherever the sources and the build are. */
extern char agent_dir[];
#define AGENT_DIR agent_dir
