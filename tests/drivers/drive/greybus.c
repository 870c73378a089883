/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Drives greybus/svc_watchdog.c: a watchdog that pings every two seconds, bites when there is no answer, and
 * is stopped while the machine is suspended.
 */
#include <linux/completion.h>
#include <linux/suspend.h>

#include <linux/greybus.h>

#include "compat.h"
#include "drive.h"

#define PERIOD (2 * HZ)

static struct gb_svc svc;
static struct notifier_block *notifier;
static struct drive_runs pings;
static long no_answer;
static long panics;
static long resets;
static long wrong_irql;
static unsigned long pinged, reset_at;
static long early;
static struct completion inside;
static struct completion go_on;
static long hold;

int gb_svc_ping(struct gb_svc *asked)
{
    drive_enter(&pings);
    EFFECT(asked == &svc, "the ping goes to the device");
    if (drive_irql() != DRIVE_PASSIVE)
        drive_add(&wrong_irql, 1);
    if (time_before(jiffies, pinged + PERIOD))
        drive_add(&early, 1);
    if (drive_get(&hold)) {
        complete(&inside);
        wait_for_completion(&go_on);
    }
    pinged = jiffies;
    drive_leave(&pings);
    return drive_get(&no_answer) ? -ETIMEDOUT : 0;
}

int call_usermodehelper(const char *path, char **argv, char **envp, int wait)
{
    EFFECT(wait == UMH_WAIT_EXEC && path == argv[0] && argv[2] == NULL && envp[0] != NULL,
           "the program of user space is called with its arguments");
    reset_at = jiffies;
    drive_add(&resets, 1);
    return 0;
}

void panic(const char *fmt, ...)
{
    (void)fmt;
    drive_add(&panics, 1);
}

int register_pm_notifier(struct notifier_block *block)
{
    notifier = block;
    return 0;
}

int unregister_pm_notifier(struct notifier_block *block)
{
    EFFECT(notifier == block, "what is unregistered was registered");
    notifier = NULL;
    return 0;
}

static void pings_every_period(void)
{
    long runs;
    int i;

    pinged = jiffies;
    EFFECT(gb_svc_watchdog_create(&svc) == 0, "the watchdog is made");
    EFFECT(gb_svc_watchdog_enabled(&svc), "and is on");
    for (i = 0; i < 3; i++) {
        runs = drive_get(&pings.runs);
        drive_sleep(PERIOD + HZ / 2);
        EFFECT(drive_get(&pings.runs) > runs, "it pings again and again");
        EFFECT(drive_get(&pings.runs) <= runs + 2, "once a period");
    }
    EFFECT(drive_get(&early) == 0, "never before two seconds are over");
    EFFECT(drive_get(&wrong_irql) == 0, "at PASSIVE_LEVEL");
    EFFECT(drive_get(&resets) == 0, "and does not bite while there is an answer");
}

static void bites_once_and_is_armed_again(int bite)
{
    long before = drive_get(&resets);
    unsigned long bitten;
    long runs;

    drive_set(&no_answer, 1);
    runs = drive_get(&pings.runs);
    DRIVE_WAIT(!gb_svc_watchdog_enabled(&svc));
    EFFECT(!gb_svc_watchdog_enabled(&svc), "without an answer it switches itself off");
    EFFECT(drive_get(&pings.runs) == runs + 1, "with the first ping that fails");
    bitten = pinged;
    DRIVE_WAIT(drive_get(&resets) > before);
    EFFECT(drive_get(&resets) == before + 1, "and resets the network, each time it bites");
    EFFECT(time_after_eq(reset_at, bitten + HZ / 2), "after half a second");
    EFFECT(drive_printed("Resetting the greybus network") == bite, "which it prints");
    drive_sleep(PERIOD + HZ);
    EFFECT(drive_get(&resets) == before + 1 && drive_get(&pings.runs) == runs + 1, "then it is quiet");

    drive_set(&no_answer, 0);
    pinged = jiffies;
    EFFECT(gb_svc_watchdog_enable(&svc) == 0 && gb_svc_watchdog_enabled(&svc), "it can be switched on again");
    DRIVE_WAIT(drive_get(&pings.runs) > runs + 1);
    EFFECT(drive_get(&pings.runs) == runs + 2, "and pings");
}

static void panics_if_it_is_told_to(void)
{
    long resets_before = drive_get(&resets);

    svc.action = GB_SVC_WATCHDOG_BITE_PANIC_KERNEL;
    drive_set(&no_answer, 1);
    DRIVE_WAIT(drive_get(&panics) > 0);
    drive_set(&no_answer, 0);
    EFFECT(drive_get(&panics) > 0, "the other bite is a panic");
    EFFECT(drive_get(&resets) == resets_before, "and no reset");
    svc.action = GB_SVC_WATCHDOG_BITE_RESET_UNIPRO;
}

static long disabled;

static void disable(void *context)
{
    (void)context;
    gb_svc_watchdog_disable(&svc);
    EFFECT(drive_get(&pings.inside) == 0, "a disable waits for the ping");
    drive_set(&disabled, 1);
}

static void is_disabled_while_it_pings(void)
{
    struct drive_thread *thread;
    long runs;

    drive_set(&hold, 1);
    wait_for_completion(&inside);
    thread = drive_spawn("disable", -1, disable, NULL);
    drive_sleep(5);
    EFFECT(drive_get(&disabled) == 0, "a disable does not return while a ping is under way");
    drive_set(&hold, 0);
    complete(&go_on);
    drive_join(thread);
    runs = drive_get(&pings.runs);
    drive_sleep(PERIOD + HZ);
    EFFECT(drive_get(&pings.runs) == runs, "a disabled one does not ping");
}

static void is_off_while_the_machine_is_suspended(void)
{
    long runs;

    pinged = jiffies;
    gb_svc_watchdog_enable(&svc);
    notifier->notifier_call(notifier, PM_SUSPEND_PREPARE, NULL);
    EFFECT(!gb_svc_watchdog_enabled(&svc), "it is off while the machine is suspended");
    runs = drive_get(&pings.runs);
    drive_sleep(PERIOD + HZ);
    EFFECT(drive_get(&pings.runs) == runs, "and does not ping");
    pinged = jiffies;
    notifier->notifier_call(notifier, PM_POST_SUSPEND, NULL);
    DRIVE_WAIT(drive_get(&pings.runs) > runs);
    EFFECT(drive_get(&pings.runs) == runs + 1, "it pings again afterwards");
}

static void body(void)
{
    long runs;

    init_completion(&inside);
    init_completion(&go_on);
    svc.action = GB_SVC_WATCHDOG_BITE_RESET_UNIPRO;
    EFFECT(gb_svc_watchdog_enable(&svc) == -ENODEV, "there is none at first");
    pings_every_period();
    bites_once_and_is_armed_again(1);
    bites_once_and_is_armed_again(2);
    panics_if_it_is_told_to();
    is_disabled_while_it_pings();
    is_off_while_the_machine_is_suspended();
    gb_svc_watchdog_destroy(&svc);
    runs = drive_get(&pings.runs);
    drive_sleep(PERIOD + HZ);
    EFFECT(drive_get(&pings.runs) == runs, "nothing pings after the end");
    EFFECT(drive_get(&early) == 0, "no ping has come early");
    EFFECT(notifier == NULL && compat_allocations() == 0, "and nothing is left");
}

const struct drive_program drive_program = {
    .name = "greybus",
    .body = body,
    .allowed_reports = NULL,
};
