/* Every path selection policy, by the number that specs.Selector gives it. */
#include "fixed.h"
#include "queue_length.h"
#include "round_robin.h"

static const selector_t SELECTORS[] = {
    [1] = select_fixed,
    [2] = select_round_robin,
    [3] = select_queue_length,
};
#define SELECTOR_COUNT (sizeof SELECTORS / sizeof *SELECTORS)
