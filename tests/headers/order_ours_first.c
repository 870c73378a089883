/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Our headers before those of the WDK. */
#include <linux/interrupt.h>
#include <linux/workqueue.h>
#include <linux/devm-helpers.h>
#include <bottomhalf.h>
#include <ntddk.h>
#include <wdf.h>
#include "order.h"
