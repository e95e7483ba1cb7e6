/* Philox4x64-10: a random block that is a pure function of key and counter.
 *
 * A draw is keyed by what it is for (seed and stream in the key; I/O, job, attempt in the
 * counter), never by the order of drawing, so batching and window borders cannot change it.
 * Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11.  The block equals the first
 * one of numpy.random.Philox(key=[k0, k1], counter=c - 1): NumPy steps its counter before use.
 */
#ifndef SMOKESTACK_PHILOX_H
#define SMOKESTACK_PHILOX_H

#include <stdint.h>

__extension__ typedef unsigned __int128 uint128_t;

#define PHILOX_M0 UINT64_C(0xD2E7470EE14C6C93)
#define PHILOX_M1 UINT64_C(0xCA5A826395121157)
#define PHILOX_W0 UINT64_C(0x9E3779B97F4A7C15)
#define PHILOX_W1 UINT64_C(0xBB67AE8584CAA73B)

static inline void philox4x64_10(uint64_t k0, uint64_t k1, uint64_t c0, uint64_t c1, uint64_t c2,
                                 uint64_t c3, uint64_t out[4]) {
    for (int round = 0; round < 10; round++) {
        uint128_t a = (uint128_t)PHILOX_M0 * c0;
        uint128_t b = (uint128_t)PHILOX_M1 * c2;
        c0 = (uint64_t)(b >> 64) ^ c1 ^ k0;
        c1 = (uint64_t)b;
        c2 = (uint64_t)(a >> 64) ^ c3 ^ k1;
        c3 = (uint64_t)a;
        k0 += PHILOX_W0;
        k1 += PHILOX_W1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* Turns a random word into a uniform integer in [0, n); the bias is below n / 2^64. */
static inline uint64_t mulhi64(uint64_t w, uint64_t n) {
    return (uint64_t)(((uint128_t)w * n) >> 64);
}

#endif
