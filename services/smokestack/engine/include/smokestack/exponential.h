/* Exponential variates in integers only: the same on every machine, where libm's log is not.
 *
 * The word w stands for a uniform U = w / 2^64; the result is -ln U in Q32 fixed point, read from
 * a table of 1,024 cells with linear interpolation.  The chord lies above the convex curve, by at
 * most 2^-11 (relative error of the mean 5e-6).  Where the table would be coarse (U < 1/64) the
 * word is scaled up by 64, which is exact: -ln U = ln 64 + -ln 64U.
 */
#ifndef SMOKESTACK_EXPONENTIAL_H
#define SMOKESTACK_EXPONENTIAL_H

#include <stdint.h>

#include "exponential_table.h"
#include "philox.h"

/* At most 8 scalings: words below 2^10, one in 2^54, share the lowest cell. */
#define EXPONENTIAL_SCALINGS_MAX 8

static inline uint64_t exponential_q32(uint64_t w) {
    uint64_t base = 0;
    for (int n = 0; n < EXPONENTIAL_SCALINGS_MAX && (w >> 58) == 0; n++) {
        base += LN64_Q32;
        w <<= 6;
    }
    uint64_t cell = w >> 54;
    if (cell < EXPONENTIAL_CELL_MIN) {
        cell = EXPONENTIAL_CELL_MIN;
    }
    uint64_t fraction = (w >> 22) & UINT64_C(0xffffffff);
    uint64_t high = EXPONENTIAL_Q32[cell - EXPONENTIAL_CELL_MIN];
    uint64_t low = EXPONENTIAL_Q32[cell - EXPONENTIAL_CELL_MIN + 1];
    return base + high - (((high - low) * fraction) >> 32);
}

/* Scales to a mean; mean_ns >= 0. */
static inline int64_t exponential_ns(int64_t mean_ns, uint64_t w) {
    return (int64_t)(((uint128_t)(uint64_t)mean_ns * exponential_q32(w)) >> 32);
}

#endif
