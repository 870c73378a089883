/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* BUILD_BUG_ON and static_assert are in compiler.h. */
#include <linux/compiler.h>
