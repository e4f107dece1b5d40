/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of what one seed gives, written by check_determinism.c. */
STAGE(SECRET, "secret key", 0x3cfbcb1c1b272817)
STAGE(KEYS, "evaluation keys", 0x2b281df326997ad7)
STAGE(ENCRYPT, "encrypt", 0xe2becda7882ce7a8)
STAGE(ENCRYPT_PUBLIC, "encrypt_public", 0xef4b4ff9c5a13120)
STAGE(PRODUCT, "product, rescaled", 0x4f77ed7c8a87ba6f)
STAGE(ROTATE, "rotate", 0x13c708b5a31796ec)
STAGE(HOISTED, "rotate_hoisted", 0x36bc3c3b4af068cd)
STAGE(SINGLE, "transform, single hoisting", 0x99b9a4bce35320d1)
STAGE(DOUBLE, "transform, double hoisting", 0x0cdcdb0334d46f5f)
STAGE(POLYNOMIAL, "polynomial", 0x28ed2dfadf4892c8)
STAGE(BOOTSTRAP, "bootstrap", 0x09ace5b928e6c6dd)
