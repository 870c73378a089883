/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A build that does not say its KMDF.
 *
 * all both: KMDF_VERSION_MINOR is not defined
 */
#undef KMDF_VERSION_MINOR
#include <bottomhalf.h>
