/* SHA-256 whose state is a row of memory: a copy of the tables is a copy of the digest.
 *
 * FIPS 180-4.  The processor's SHA instructions are used where it has them; the result is the same.
 */
#ifndef SMOKESTACK_SHA256_H
#define SMOKESTACK_SHA256_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>
#define SHA256_X86 1
#endif

#define SHA256_BLOCK 64u

/* One row; all zeros is the digest of nothing so far. */
typedef struct {
    uint32_t h[8];
    uint64_t bytes; /* absorbed so far; what is no whole block waits in `pending` */
    uint64_t reserved[3];
    uint8_t pending[SHA256_BLOCK];
} sha256_t;

_Static_assert(sizeof(sha256_t) == 128, "two cache lines");

static const uint32_t SHA256_START[8] = {0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au,
                                         0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u};
static const uint32_t SHA256_K[64] = {
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u,
    0xab1c5ed5u, 0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu,
    0x9bdc06a7u, 0xc19bf174u, 0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu,
    0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau, 0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u,
    0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u, 0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu,
    0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u, 0xa2bfe8a1u, 0xa81a664bu,
    0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u, 0x19a4c116u,
    0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
    0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u,
    0xc67178f2u};

static inline uint32_t sha256_rotate(uint32_t v, int by) { return v >> by | v << (32 - by); }

/* Round t + n: instead of moving the eight words, they change their names. */
static inline void sha256_round(uint32_t *v, const uint32_t *w, int t, int n) {
    uint32_t a = v[-n & 7], b = v[(1 - n) & 7], c = v[(2 - n) & 7], e = v[(4 - n) & 7];
    uint32_t first = v[(7 - n) & 7] + SHA256_K[t + n] + w[t + n] +
                     ((e & v[(5 - n) & 7]) ^ (~e & v[(6 - n) & 7])) +
                     (sha256_rotate(e, 6) ^ sha256_rotate(e, 11) ^ sha256_rotate(e, 25));
    v[(3 - n) & 7] += first;
    v[(7 - n) & 7] = first + ((a & b) ^ (a & c) ^ (b & c)) +
                     (sha256_rotate(a, 2) ^ sha256_rotate(a, 13) ^ sha256_rotate(a, 22));
}

static void sha256_blocks_plain(uint32_t *state, const uint8_t *data, size_t blocks) {
    for (; blocks > 0; blocks--, data += SHA256_BLOCK) {
        uint32_t w[64], v[8];
        for (int t = 0; t < 16; t++)
            w[t] = (uint32_t)data[4 * t] << 24 | (uint32_t)data[4 * t + 1] << 16 |
                   (uint32_t)data[4 * t + 2] << 8 | data[4 * t + 3];
        for (int t = 16; t < 64; t++) {
            uint32_t a = w[t - 15], b = w[t - 2];
            w[t] = w[t - 16] + w[t - 7] +
                   (sha256_rotate(a, 7) ^ sha256_rotate(a, 18) ^ a >> 3) +
                   (sha256_rotate(b, 17) ^ sha256_rotate(b, 19) ^ b >> 10);
        }
        memcpy(v, state, sizeof v);
        for (int t = 0; t < 64; t += 8) { /* eight rounds leave every word in its place again */
            sha256_round(v, w, t, 0), sha256_round(v, w, t, 1), sha256_round(v, w, t, 2);
            sha256_round(v, w, t, 3), sha256_round(v, w, t, 4), sha256_round(v, w, t, 5);
            sha256_round(v, w, t, 6), sha256_round(v, w, t, 7);
        }
        for (int n = 0; n < 8; n++) state[n] += v[n];
    }
}

#ifdef SHA256_X86
__attribute__((target("sha,sse4.1"))) static void sha256_blocks_x86(
    uint32_t *state, const uint8_t *data, size_t blocks) {
    const __m128i order = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    __m128i t = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
    __m128i cdgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);
    __m128i abef = _mm_alignr_epi8(t, cdgh, 8);
    cdgh = _mm_blend_epi16(cdgh, t, 0xf0);
    for (; blocks > 0; blocks--, data += SHA256_BLOCK) {
        __m128i before_abef = abef, before_cdgh = cdgh, w[4];
        for (int n = 0; n < 4; n++)
            w[n] = _mm_shuffle_epi8(
                _mm_loadu_si128((const __m128i *)(data + (size_t)(16 * n))), order);
        for (int r = 0; r < 16; r++) { /* four rounds each */
            __m128i *now = &w[r & 3];
            __m128i k = _mm_loadu_si128((const __m128i *)&SHA256_K[4 * r]);
            k = _mm_add_epi32(*now, k);
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, k);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(k, 0x0e));
            if (r >= 12) continue;
            t = _mm_alignr_epi8(w[(r + 3) & 3], w[(r + 2) & 3], 4);
            t = _mm_add_epi32(_mm_sha256msg1_epu32(*now, w[(r + 1) & 3]), t);
            *now = _mm_sha256msg2_epu32(t, w[(r + 3) & 3]);
        }
        abef = _mm_add_epi32(abef, before_abef);
        cdgh = _mm_add_epi32(cdgh, before_cdgh);
    }
    t = _mm_shuffle_epi32(abef, 0x1b);
    cdgh = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(t, cdgh, 0xf0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(cdgh, t, 8));
}

/* Asked once: the question itself is slow under some hypervisors. */
static inline int sha256_x86(void) {
    static int known = -1;
    if (known < 0) {
        unsigned a, b, c, d, ebx = 0;
        if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) ebx = b;
        known = __get_cpuid(1, &a, &b, &c, &d) && (c >> 19 & 1) && (c >> 9 & 1) && ebx >> 29 & 1;
    }
    return known;
}
#endif

static inline void sha256_blocks(uint32_t *state, const uint8_t *data, size_t blocks) {
#ifdef SHA256_X86
    if (sha256_x86()) {
        sha256_blocks_x86(state, data, blocks);
        return;
    }
#endif
    sha256_blocks_plain(state, data, blocks);
}

static inline void sha256_update(sha256_t *s, const void *from, size_t size) {
    const uint8_t *data = from;
    size_t waiting = s->bytes % SHA256_BLOCK;
    if (s->bytes == 0) memcpy(s->h, SHA256_START, sizeof s->h);
    s->bytes += size;
    if (waiting) {
        size_t take = SHA256_BLOCK - waiting < size ? SHA256_BLOCK - waiting : size;
        memcpy(s->pending + waiting, data, take);
        if (waiting + take < SHA256_BLOCK) return;
        sha256_blocks(s->h, s->pending, 1);
        data += take;
        size -= take;
    }
    sha256_blocks(s->h, data, size / SHA256_BLOCK);
    memcpy(s->pending, data + size / SHA256_BLOCK * SHA256_BLOCK, size % SHA256_BLOCK);
}

/* The digest of all that was absorbed; more may be absorbed afterwards. */
static inline void sha256_final(const sha256_t *from, uint8_t out[32]) {
    sha256_t s = *from;
    uint8_t tail[2 * SHA256_BLOCK] = {0};
    size_t waiting = s.bytes % SHA256_BLOCK, size = waiting < 56 ? SHA256_BLOCK : 2 * SHA256_BLOCK;
    uint64_t bits = s.bytes * 8;
    if (s.bytes == 0) memcpy(s.h, SHA256_START, sizeof s.h);
    memcpy(tail, s.pending, waiting);
    tail[waiting] = 0x80;
    for (int n = 0; n < 8; n++) tail[size - 1 - (size_t)n] = (uint8_t)(bits >> 8 * n);
    sha256_blocks(s.h, tail, size / SHA256_BLOCK);
    for (int n = 0; n < 32; n++) out[n] = (uint8_t)(s.h[n / 4] >> (24 - 8 * (n % 4)));
}

#endif
