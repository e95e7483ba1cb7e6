/* Every path selection policy, by the number that specs.Selector gives it. */
#include "dm_round_robin.h"
#include "first_available.h"
#include "fixed.h"
#include "historical_service_time.h"
#include "io_affinity.h"
#include "latency.h"
#include "least_blocks.h"
#include "most_recently_used.h"
#include "queue_length.h"
#include "round_robin.h"
#include "round_robin_bytes.h"
#include "service_time.h"
#include "vendor.h"

static const selector_t *const SELECTORS[] = {
    [1] = &FIXED,
    [2] = &ROUND_ROBIN,
    [3] = &QUEUE_LENGTH,
    [4] = &FIRST_AVAILABLE,
    [5] = &MOST_RECENTLY_USED,
    [6] = &ROUND_ROBIN_BYTES,
    [7] = &LATENCY,
    [8] = &DM_ROUND_ROBIN,
    [9] = &SERVICE_TIME,
    [10] = &HISTORICAL_SERVICE_TIME,
    [11] = &IO_AFFINITY,
    [12] = &LEAST_BLOCKS,
    [13] = &VENDOR,
};
