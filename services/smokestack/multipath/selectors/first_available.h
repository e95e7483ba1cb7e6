/* First available port: the first usable path in boot order, whatever it has to carry.
 *
 * What ESX did by default, and what its critics meant: every device's I/O goes down one path, and
 * devices that boot in one order share it (FACTS 2.1).  No preference can be set.
 */
#include "selector.h"

static uint32_t first_available_select(const choice_t *c) { return first_usable(c); }

static const selector_t FIRST_AVAILABLE = {.select_path = first_available_select};
