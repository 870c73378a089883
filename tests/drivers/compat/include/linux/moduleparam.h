/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Parameters are variables, whose values nobody sets from outside. */
#ifndef COMPAT_LINUX_MODULEPARAM_H
#define COMPAT_LINUX_MODULEPARAM_H

#define module_param(name, type, mode) struct compat_module_param
#define module_param_named(name, variable, type, mode) struct compat_module_param
#define MODULE_PARM_DESC(name, text) struct compat_module_param

#endif
