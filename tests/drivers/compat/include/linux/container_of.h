/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* container_of is the library's. */
#include <bottomhalf/types.h>
