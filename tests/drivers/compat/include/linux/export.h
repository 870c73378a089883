/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every symbol is there for the whole program. */
#ifndef COMPAT_LINUX_EXPORT_H
#define COMPAT_LINUX_EXPORT_H

#define EXPORT_SYMBOL(symbol) struct compat_export
#define EXPORT_SYMBOL_GPL(symbol) struct compat_export
#define EXPORT_SYMBOL_NS_GPL(symbol, ns) struct compat_export

struct module;
#define THIS_MODULE ((struct module *)0)

#endif
