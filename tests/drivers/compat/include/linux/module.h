/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A module's begin and end are two functions with the fixed names that whoever loads it calls. */
#ifndef COMPAT_LINUX_MODULE_H
#define COMPAT_LINUX_MODULE_H

#include <linux/export.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/types.h>

#define MODULE_LICENSE(text) struct compat_module
#define MODULE_AUTHOR(text) struct compat_module
#define MODULE_DESCRIPTION(text) struct compat_module
#define MODULE_VERSION(text) struct compat_module
#define MODULE_ALIAS(text) struct compat_module
#define MODULE_INFO(tag, text) struct compat_module
#define MODULE_DEVICE_TABLE(type, name) struct compat_module

#define module_init(function)                                                                                \
    int init_module(void);                                                                                   \
    int init_module(void)                                                                                    \
    {                                                                                                        \
        return function();                                                                                   \
    }                                                                                                        \
    struct compat_module
#define module_exit(function)                                                                                \
    void cleanup_module(void);                                                                               \
    void cleanup_module(void)                                                                                \
    {                                                                                                        \
        function();                                                                                          \
    }                                                                                                        \
    struct compat_module

static inline bool try_module_get(struct module *module)
{
    (void)module;
    return true;
}

static inline void module_put(struct module *module)
{
    (void)module;
}

#endif
