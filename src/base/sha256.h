/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "base/macro.h"

#define SHA256_BYTES 32

/* SHA-256 (FIPS 180-4) of @data. For names that others make in the same way: not for passwords, and not fast. */
void sha256(const void *data, size_t size, uint8_t ret[static SHA256_BYTES]);
