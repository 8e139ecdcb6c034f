/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

/* SipHash-2-4 (Aumasson, Bernstein 2012), a keyed hash: without the key, its result tells nothing about the input. */
typedef struct Hash {
        uint64_t v[4];
        uint64_t pending; /* bytes that do not fill a word yet */
        size_t size;
} Hash;

/* Begins a hash. Use a secret key if nobody may find out the input from the result. */
void hash_init(Hash *hash, const uint8_t key[static 16]);
void hash_update(Hash *hash, const void *data, size_t size);
/* Adds a string with its terminator, so that ("ab", "c") and ("a", "bc") differ. NULL counts as "". */
void hash_string(Hash *hash, const char *s);
/* The result. Nothing can be added to @hash after this. */
uint64_t hash_finish(Hash *hash);

/* Makes a file name of any name: readable, and different for different names, unless somebody who wants to can choose both of
 * them: what is kept under such a name says itself whose it is, where that matters. To be freed. 0 or -ENOMEM. */
int hash_file_name(const char *name, const char *suffix, char **ret);
