/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A config without the rule for works: there is no default.
 *
 * all both: too few arguments|no matching function
 */
#include <bottomhalf.h>

void fill(struct bottomhalf_config *config);
void fill(struct bottomhalf_config *config)
{
    bottomhalf_config_init(config);
}
