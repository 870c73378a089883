/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Who is told that the machine is about to be suspended; the test is the machine. */
#ifndef STUB_LINUX_SUSPEND_H
#define STUB_LINUX_SUSPEND_H

#include <linux/notifier.h>

#define PM_SUSPEND_PREPARE 0x0003
#define PM_POST_SUSPEND 0x0004

int register_pm_notifier(struct notifier_block *block);
int unregister_pm_notifier(struct notifier_block *block);

#endif
