/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Notes times and numbers of files in an index of git. Called by unpack.c and place.c for the sources of a job: whoever
 * sent them knows which files are as the index says, and here their new inodes are known. The index is data from
 * elsewhere: it must be checked before anything in it is used. */

#include "agent/index.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* Of an entry: times, numbers, mode, owners and size; the id of the content; flags; the path with a NUL. */
#define STAT_BYTES 40U
#define ID_BYTES 20U
#define PATH_OFFSET (STAT_BYTES + ID_BYTES + 2)
#define HEADER_BYTES 12U
#define NAME_MASK 0xfffU /* the length of the path, in the flags; longer ones have this value */

static uint32_t read_word(const unsigned char *p) {
        uint32_t word;

        memcpy(&word, p, sizeof(word));
        return be32toh(word);
}

static void write_word(unsigned char *p, uint64_t value) {
        uint32_t word = htobe32((uint32_t) value);

        memcpy(p, &word, sizeof(word));
}

static const char *entry_path(const GitIndex *index, size_t i) {
        return (const char *) index->data + index->entries[i] + PATH_OFFSET;
}

/* Where the next entry begins, or 0: there is no entry at @offset. */
static size_t entry_end(const unsigned char *data, size_t size, size_t offset) {
        if (size - offset < PATH_OFFSET)
                return 0;
        const unsigned char *path = data + offset + PATH_OFFSET;
        const unsigned char *nul = memchr(path, 0, size - offset - PATH_OFFSET);
        if (!nul || nul == path)
                return 0;
        size_t n = (size_t) (nul - path);
        unsigned flags = (unsigned) path[-2] << 8 | path[-1];
        if ((flags & NAME_MASK) != MIN(n, (size_t) NAME_MASK))
                return 0;
        size_t length = (PATH_OFFSET + n + 8) & ~(size_t) 7;
        return length > size - offset ? 0 : offset + length;
}

static int find_entries(GitIndex *index) {
        if (index->size < HEADER_BYTES + ID_BYTES || memcmp(index->data, "DIRC", 4) != 0 ||
            read_word(index->data + 4) != 2)
                return -EBADMSG;
        size_t n = read_word(index->data + 8), size = index->size - ID_BYTES, offset = HEADER_BYTES;
        if (n > size / PATH_OFFSET)
                return -EBADMSG;
        size_t *entries = calloc(n + 1, sizeof(size_t));
        if (!entries)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                entries[i] = offset;
                offset = entry_end(index->data, size, offset);
                if (offset == 0) {
                        free(entries);
                        return -EBADMSG;
                }
        }
        index->entries = entries;
        index->n = n;
        return 0;
}

int index_init(GitIndex *ret, unsigned char *data, size_t size) {
        *ret = (GitIndex){ .data = data, .size = size };
        return find_entries(ret);
}

void index_done(GitIndex *index) {
        free(index->data);
        free(index->entries);
        *index = (GitIndex){ 0 };
}

static bool find(const GitIndex *index, size_t *next, const char *path) {
        size_t low = 0, high = index->n;

        if (*next < index->n && strcmp(entry_path(index, *next), path) == 0)
                return true;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = strcmp(entry_path(index, middle), path);

                if (order == 0) {
                        *next = middle;
                        return true;
                }
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return false;
}

bool index_note(const GitIndex *index, size_t *next, const char *path, const struct stat *st) {
        if (!find(index, next, path))
                return false;
        unsigned char *entry = index->data + index->entries[(*next)++];
        write_word(entry, (uint64_t) st->st_ctim.tv_sec);
        write_word(entry + 4, (uint64_t) st->st_ctim.tv_nsec);
        write_word(entry + 8, (uint64_t) st->st_mtim.tv_sec);
        write_word(entry + 12, (uint64_t) st->st_mtim.tv_nsec);
        write_word(entry + 16, st->st_dev);
        write_word(entry + 20, st->st_ino);
        write_word(entry + 28, st->st_uid);
        write_word(entry + 32, st->st_gid);
        write_word(entry + 36, (uint64_t) st->st_size);
        return true;
}

static uint32_t rotate(uint32_t x, unsigned bits) {
        return x << bits | x >> (32 - bits);
}

/* One block of SHA-1 (FIPS 180-4, 6.1.2). */
static void sha1_block(uint32_t h[static 5], const unsigned char *block) {
        uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

        for (unsigned i = 0; i < 16; i++)
                w[i] = read_word(block + 4 * i);
        for (unsigned i = 16; i < 80; i++)
                w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        for (unsigned i = 0; i < 80; i++) {
                uint32_t f = i < 20 ? ((b & c) | (~b & d)) + 0x5a827999 :
                             i < 40 ? (b ^ c ^ d) + 0x6ed9eba1 :
                             i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc :
                                      (b ^ c ^ d) + 0xca62c1d6;
                uint32_t next = rotate(a, 5) + f + e + w[i];

                e = d;
                d = c;
                c = rotate(b, 30);
                b = a;
                a = next;
        }
        h[0] += a;
        h[1] += b;
        h[2] += c;
        h[3] += d;
        h[4] += e;
}

void index_finish(GitIndex *index) {
        uint32_t h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
        unsigned char last[128] = { 0 };
        size_t size = index->size - ID_BYTES, whole = size & ~(size_t) 63, rest = size - whole;
        size_t n = rest < 56 ? 64 : 128;

        if (index->n == 0)
                return;
        for (size_t i = 0; i < whole; i += 64)
                sha1_block(h, index->data + i);
        memcpy(last, index->data + whole, rest);
        last[rest] = 0x80;
        write_word(last + n - 8, (uint64_t) size >> 29);
        write_word(last + n - 4, (uint64_t) size << 3);
        for (size_t i = 0; i < n; i += 64)
                sha1_block(h, last + i);
        for (size_t i = 0; i < 5; i++)
                write_word(index->data + size + 4 * i, h[i]);
}
