/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/sha256.h"

/* The vectors of the paper's reference implementation (SipHash-2-4, 64 bits): key 00 01 .. 0f, input 00 01 .. (i - 1)
 * for row i. */
static const uint64_t vectors[64] = {
        UINT64_C(0x726fdb47dd0e0e31), UINT64_C(0x74f839c593dc67fd), UINT64_C(0x0d6c8009d9a94f5a),
        UINT64_C(0x85676696d7fb7e2d), UINT64_C(0xcf2794e0277187b7), UINT64_C(0x18765564cd99a68d),
        UINT64_C(0xcbc9466e58fee3ce), UINT64_C(0xab0200f58b01d137), UINT64_C(0x93f5f5799a932462),
        UINT64_C(0x9e0082df0ba9e4b0), UINT64_C(0x7a5dbbc594ddb9f3), UINT64_C(0xf4b32f46226bada7),
        UINT64_C(0x751e8fbc860ee5fb), UINT64_C(0x14ea5627c0843d90), UINT64_C(0xf723ca908e7af2ee),
        UINT64_C(0xa129ca6149be45e5), UINT64_C(0x3f2acc7f57c29bdb), UINT64_C(0x699ae9f52cbe4794),
        UINT64_C(0x4bc1b3f0968dd39c), UINT64_C(0xbb6dc91da77961bd), UINT64_C(0xbed65cf21aa2ee98),
        UINT64_C(0xd0f2cbb02e3b67c7), UINT64_C(0x93536795e3a33e88), UINT64_C(0xa80c038ccd5ccec8),
        UINT64_C(0xb8ad50c6f649af94), UINT64_C(0xbce192de8a85b8ea), UINT64_C(0x17d835b85bbb15f3),
        UINT64_C(0x2f2e6163076bcfad), UINT64_C(0xde4daaaca71dc9a5), UINT64_C(0xa6a2506687956571),
        UINT64_C(0xad87a3535c49ef28), UINT64_C(0x32d892fad841c342), UINT64_C(0x7127512f72f27cce),
        UINT64_C(0xa7f32346f95978e3), UINT64_C(0x12e0b01abb051238), UINT64_C(0x15e034d40fa197ae),
        UINT64_C(0x314dffbe0815a3b4), UINT64_C(0x027990f029623981), UINT64_C(0xcadcd4e59ef40c4d),
        UINT64_C(0x9abfd8766a33735c), UINT64_C(0x0e3ea96b5304a7d0), UINT64_C(0xad0c42d6fc585992),
        UINT64_C(0x187306c89bc215a9), UINT64_C(0xd4a60abcf3792b95), UINT64_C(0xf935451de4f21df2),
        UINT64_C(0xa9538f0419755787), UINT64_C(0xdb9acddff56ca510), UINT64_C(0xd06c98cd5c0975eb),
        UINT64_C(0xe612a3cb9ecba951), UINT64_C(0xc766e62cfcadaf96), UINT64_C(0xee64435a9752fe72),
        UINT64_C(0xa192d576b245165a), UINT64_C(0x0a8787bf8ecb74b2), UINT64_C(0x81b3e73d20b49b6f),
        UINT64_C(0x7fa8220ba3b2ecea), UINT64_C(0x245731c13ca42499), UINT64_C(0xb78dbfaf3a8d83bd),
        UINT64_C(0xea1ad565322a1a0b), UINT64_C(0x60e61c23a3795013), UINT64_C(0x6606d7e446282b93),
        UINT64_C(0x6ca4ecb15c5f91e1), UINT64_C(0x9f626da15c9625f3), UINT64_C(0xe51b38608ef25f57),
        UINT64_C(0x958a324ceb064572),
};

static void make_key(uint8_t key[static 16]) {
        for (uint8_t i = 0; i < 16; i++)
                key[i] = i;
}

static void test_vectors(_unused_ void **state) {
        uint8_t key[16], input[64];

        make_key(key);
        for (uint8_t i = 0; i < 64; i++)
                input[i] = i;
        for (size_t i = 0; i < ELEMENTSOF(vectors); i++) {
                Hash hash;

                hash_init(&hash, key);
                hash_update(&hash, input, i);
                assert_row(hash_finish(&hash) == vectors[i], i, "whole");

                /* in pieces of any size */
                for (size_t piece = 1; piece < 12; piece++) {
                        hash_init(&hash, key);
                        for (size_t at = 0; at < i; at += piece)
                                hash_update(&hash, input + at, MIN(piece, i - at));
                        assert_row(hash_finish(&hash) == vectors[i], i, "in pieces");
                }
        }
}

/* More than 255 bytes: only the length's lowest byte counts. */
static void test_long(_unused_ void **state) {
        uint8_t key[16], input[1000];
        Hash hash;

        make_key(key);
        memset(input, 0xa5, sizeof(input));
        hash_init(&hash, key);
        hash_update(&hash, input, sizeof(input));
        assert_true(hash_finish(&hash) == UINT64_C(0x749fdd92b919ded8));
}

static uint64_t hash_of(const char *a, const char *b) {
        uint8_t key[16];
        Hash hash;

        make_key(key);
        hash_init(&hash, key);
        hash_string(&hash, a);
        hash_string(&hash, b);
        return hash_finish(&hash);
}

static void test_strings(_unused_ void **state) {
        assert_true(hash_of("ab", "c") != hash_of("a", "bc"));
        assert_true(hash_of("", "a") != hash_of("a", ""));
        assert_true(hash_of(NULL, "a") == hash_of("", "a"));
}

/* The examples of FIPS 180-2, and sizes around the end of a block. */
static void test_sha256(_unused_ void **state) {
        static const struct {
                const char *text;
                size_t repeat;
                const char *digest;
        } rows[] = {
                { "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
                { "", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
                { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
                { "a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
                { "x", 55, "d5e285683cd4efc02d021a5c62014694958901005d6f71e89e0989fac77e4072" },
                { "x", 56, "04c26261370ee7541549d16dee320c723e3fd14671e66a099afe0a377c16888e" },
                { "x", 63, "75220b47218278e656f2013bb8f0c455a25eaf01e86c64924e9d48d89776d6f2" },
                { "x", 64, "7ce100971f64e7001e8fe5a51973ecdfe1ced42befe7ee8d5fd6219506b5393c" },
                { "x", 65, "9537c5fdf120482f7d58d25e9ed583f52c02b4e304ea814db1633ad565aed7e9" },
                { "x", 119, "000b48d4edf0fa7bee3c6236ecd2785baa5db4eeb8bb54341b029e0d9fa5fb0c" },
                { "x", 120, "13f05a0b594787f5ecd315edc96141bd3243203d1b7d4f0836f37308b276ba98" },
                { "x", 128, "24da1b81d0b16df6428eee73c69fcb2a93c76bc6df706f0c6670fe6bfe800464" },
        };
        static char data[1000000];

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                size_t n = strlen(rows[i].text);
                uint8_t digest[SHA256_BYTES];
                char hex[2 * SHA256_BYTES + 1];

                for (size_t k = 0; k < rows[i].repeat; k++)
                        memcpy(data + k * n, rows[i].text, n);
                sha256(data, n * rows[i].repeat, digest);
                for (size_t k = 0; k < SHA256_BYTES; k++)
                        snprintf(hex + 2 * k, 3, "%02x", digest[k]);
                assert_string_equal(hex, rows[i].digest);
        }
}

static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_sha256),
};
UNIT_FILE(tests);
