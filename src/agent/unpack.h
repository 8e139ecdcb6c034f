/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* A program that moves files into a container, executed as a step: `agent unpack DIR`. Makes the files that come on
 * stdin (wire/bundle.h). What is there of the same name is replaced; nothing is made outside of DIR, which is made too.
 * If an index of git is among them, it gets what git notes of the files that are as it says; of others, git finds out
 * whether they are, where there is git. It has the rights of the step's user, and prints errors on stderr. An exit
 * status. */
int agent_unpack(const char *directory);
