// SPDX-License-Identifier: MIT OR Apache-2.0
/* Scenarios of tasklets. */
#include "kit.h"

static struct kit_seen seen;

static void count(struct tasklet_struct *t)
{
    kit_enter(&seen);
    kit_leave(&seen);
}

SCENARIO(T01)
{
    static struct tasklet_struct t;

    kit_seen_init(&seen);
    tasklet_setup(&t, count);
    tasklet_schedule(&t);
    kit_wait_until(kit_ended(&seen) == 1);
    kit_settle();
    answer("runs", kit_begun(&seen));
    answer("state", (long long)t.state);
}

KIT_GROUP(tasklets, "tasklets", KIT_ROW(T01));
