/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Drives livepatch-callbacks-busymod.c, a whole module: its begin schedules a static delayed work, its end
 * cancels. */
#include "drive.h"

int init_module(void);
void cleanup_module(void);

#define STARTS "busymod_work_func, sleeping 0 seconds"
#define ENDS "busymod_work_func exit"

static void is_loaded_and_unloaded(bool wait)
{
    long ran = drive_printed(ENDS);
    long after;

    EFFECT(init_module() == 0, "the module is loaded");
    if (wait) {
        DRIVE_WAIT(drive_printed(ENDS) > ran);
        EFFECT(drive_printed(ENDS) == ran + 1, "its work runs, without a delay");
    }
    cleanup_module();
    after = drive_printed(ENDS);
    EFFECT(drive_printed(STARTS) == after, "the end of the module waits for a run that has begun");
    EFFECT(after <= ran + 1, "which is one at most");
    drive_sleep(10);
    EFFECT(drive_printed(STARTS) == after, "nothing runs after the end");
}

static void body(void)
{
    int i;

    is_loaded_and_unloaded(true);
    for (i = 0; i < 5; i++)
        is_loaded_and_unloaded(false);
    is_loaded_and_unloaded(true);
}

const struct drive_program drive_program = {
    .name = "livepatch",
    .body = body,
    .allowed_reports = NULL,
};
