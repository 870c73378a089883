// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The module that runs the scenarios in a Linux kernel when it is loaded. Its lines go to the kernel's log
 * with a prefix; a console of its own counts the warnings that the kernel prints meanwhile.
 */
#include <linux/console.h>
#include <linux/kmod.h>
#include <linux/module.h>
#include <linux/utsname.h>

#include "kit.h"

static char *group = "all";
module_param(group, charp, 0444);
MODULE_PARM_DESC(group, "The groups of scenarios, with commas.");

static char *only = "";
module_param(only, charp, 0444);
MODULE_PARM_DESC(only, "The ids of the only scenarios to run, with commas.");

/* The beginnings of what a kernel says about misuse; a warning with a trace counts at its first line. */
static const char *const warnings[] = {
    "WARNING: ", "workqueue: ", "BUG: ", "tasklet ", "softirq: ",
};

static atomic_t diagnostics = ATOMIC_INIT(0);

static void count_warnings(struct console *console, const char *text, unsigned int length)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(warnings); i++) {
        size_t head = strlen(warnings[i]);

        if (length >= head && memcmp(text, warnings[i], head) == 0) {
            atomic_inc(&diagnostics);
            return;
        }
    }
}

static struct console counting_console = {
    .name = "count",
    .write = count_warnings,
    .flags = CON_ENABLED | CON_ANYTIME,
    .index = -1,
};

unsigned int conformance_diagnostics(void)
{
    return (unsigned int)atomic_read(&diagnostics);
}

/* Lets warnings that the kernel gives once be given once more. */
static void rearm_warnings(void)
{
    static char *argv[] = {"/bin/busybox", "sh", "-c", "echo 1 >/sys/kernel/debug/clear_warn_once", NULL};
    static char *envp[] = {NULL};

    if (call_usermodehelper(argv[0], argv, envp, UMH_WAIT_PROC) != 0)
        pr_err("the guest cannot write clear_warn_once\n");
}

void conformance_emit(const char *line)
{
    static unsigned int armed;

    pr_notice("ANSWER %s\n", line);
    if (conformance_diagnostics() != armed)
        rearm_warnings();
    armed = conformance_diagnostics();
}

static int __init conformance_init(void)
{
    int ran;

    register_console(&counting_console);
    pr_notice("ANSWERS FROM %s\n", init_utsname()->release);
    ran = conformance_run(group, only);
    pr_notice("ANSWERS END %d\n", ran);
    unregister_console(&counting_console);
    /* Always 0: insmod of busybox tries once more after an error. */
    return 0;
}

static void __exit conformance_exit(void)
{
}

module_init(conformance_init);
module_exit(conformance_exit);
MODULE_DESCRIPTION("bottomhalf: what Linux answers to the conformance scenarios");
/* Only what is exported to GPL modules gives some of the names that the scenarios use. */
MODULE_LICENSE("Dual MIT/GPL");
