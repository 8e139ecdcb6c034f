/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A keyed hash (SipHash-2-4) that gives short names to jobs, containers, compiled filters, recipes of images and
 * files in stores. Those who make such names call it. The names stay on disk, so the same input must give the same
 * result in every version and on every processor. */

#include "base/hash.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include "base/string.h"

#define NAME_BYTES_MAX 60

static uint64_t rotate(uint64_t x, unsigned bits) {
        return (x << bits) | (x >> (64 - bits));
}

static void rounds(uint64_t v[static 4], unsigned n) {
        while (n-- > 0) {
                v[0] += v[1];
                v[2] += v[3];
                v[1] = rotate(v[1], 13) ^ v[0];
                v[3] = rotate(v[3], 16) ^ v[2];
                v[0] = rotate(v[0], 32);
                v[2] += v[1];
                v[0] += v[3];
                v[1] = rotate(v[1], 17) ^ v[2];
                v[3] = rotate(v[3], 21) ^ v[0];
                v[2] = rotate(v[2], 32);
        }
}

static void compress(Hash *hash, uint64_t word) {
        hash->v[3] ^= word;
        rounds(hash->v, 2);
        hash->v[0] ^= word;
}

void hash_init(Hash *hash, const uint8_t key[static 16]) {
        uint64_t k[2];

        memcpy(k, key, sizeof(k));
        k[0] = le64toh(k[0]);
        k[1] = le64toh(k[1]);
        *hash = (Hash){ .v = { k[0] ^ UINT64_C(0x736f6d6570736575), k[1] ^ UINT64_C(0x646f72616e646f6d),
                               k[0] ^ UINT64_C(0x6c7967656e657261), k[1] ^ UINT64_C(0x7465646279746573) } };
}

void hash_update(Hash *hash, const void *data, size_t size) {
        const uint8_t *p = data;

        for (size_t i = 0; i < size; i++) {
                hash->pending |= (uint64_t) p[i] << (8 * (hash->size % 8));
                if (++hash->size % 8 == 0) {
                        compress(hash, hash->pending);
                        hash->pending = 0;
                }
        }
}

void hash_string(Hash *hash, const char *s) {
        hash_update(hash, s ? s : "", s ? strlen(s) + 1 : 1);
}

uint64_t hash_finish(Hash *hash) {
        compress(hash, hash->pending | (uint64_t) hash->size << 56);
        hash->v[2] ^= 0xff;
        rounds(hash->v, 4);
        return hash->v[0] ^ hash->v[1] ^ hash->v[2] ^ hash->v[3];
}

int hash_file_name(const char *name, const char *suffix, char **ret) {
        static const uint8_t key[16] = "nspawn-runner"; /* equal names, equal files */
        char readable[NAME_BYTES_MAX + 1];
        size_t n = 0;
        Hash hash;

        for (const char *p = name; *p && n < NAME_BYTES_MAX; p++)
                readable[n++] = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ? *p :
                                                                                                                   '-';
        readable[n] = 0;
        hash_init(&hash, key);
        hash_string(&hash, name);
        return string_printf(ret, "%s-%016" PRIx64 "%s", readable, hash_finish(&hash), suffix);
}
