/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The headers of the WDK before ours. */
#include <ntddk.h>
#include <wdf.h>
#include <bottomhalf.h>
#include <linux/devm-helpers.h>
#include <linux/workqueue.h>
#include <linux/interrupt.h>
#include "order.h"
