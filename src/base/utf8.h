/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* The length of the character of UTF-8 at @text in bytes, 1 for a NUL; 0: there is none. */
size_t utf8_length(const char *text);

/* Decodes that character into *ret. Its length; or 0 with *ret untouched. */
size_t utf8_decode(const char *text, uint32_t *ret);

/* How many columns of a terminal the character at @text, of @length bytes, takes: 0 to 2. */
unsigned utf8_columns(const char *text, size_t length);

/* How many bytes from the beginning of @text fit into @columns, and how many columns these take. What is not UTF-8 counts
 * one for each byte. */
size_t utf8_fit(const char *text, unsigned columns, unsigned *ret_columns);
