/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Where functions and data of a kernel's start are put means nothing here. */
#ifndef COMPAT_LINUX_INIT_H
#define COMPAT_LINUX_INIT_H

#include <linux/compiler.h>

#define __init
#define __exit
#define __initdata
#define __exitdata
#define __initconst
#define __devinit

#endif
