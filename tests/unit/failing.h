/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Has readdir() fail in this process, as it does on a disk with errors or when memory is short: with @error, after @entries
 * more of them. For a file that reads a directory, or for all that follow until failing_readdir(0, 0). */
void failing_readdir(unsigned entries, int error);
