/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the kernel seldom does: calls that fail in this process until it is told otherwise. */

/* Has readdir() fail with @error after @entries more entries, as it does on a disk with errors or when memory is short. @error
 * 0: no more. */
void failing_readdir(unsigned entries, int error);

/* Has the next @times calls of openat2() fail with @error. */
void failing_openat2(unsigned times, int error);
