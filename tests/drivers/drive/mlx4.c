/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Drives mlx4/sense.c: a deferrable work on the driver's own queue asks the firmware every three seconds, on
 * whole seconds, what the ports are connected to.
 */
#include <linux/completion.h>

#include <linux/mlx4/cmd.h>

#include "mlx4.h"

#include "compat.h"
#include "drive.h"

struct workqueue_struct *mlx4_wq;

static struct mlx4_priv priv;
/* What the firmware answers for each port, and what is sensed: a port from 1. */
static u64 answers[MLX4_MAX_PORTS + 1];
static long asked[MLX4_MAX_PORTS + 1];
static struct drive_runs senses;
static long wrong_irql;
static long off_second;
static unsigned long sensed, shortest;
static enum mlx4_port_type changed[MLX4_MAX_PORTS];
static long changes;
static long params_bad;
static struct completion inside;
static struct completion go_on;
static long hold;

/* Whole seconds are those of a CPU, which end up to nine jiffies earlier; a run is a little late. */
static bool is_whole_second(unsigned long now)
{
    unsigned long rest = now % HZ;

    return rest >= HZ - 9 || rest <= (drive_is_live() ? HZ / 2 : 6);
}

int mlx4_cmd_imm(struct mlx4_dev *dev, u64 in_param, u64 *out_param, u32 in_modifier, u8 op_modifier, u16 op,
                 unsigned long timeout, int native)
{
    (void)timeout;
    EFFECT(dev == &priv.dev && in_param == 0 && op_modifier == 0 && op == MLX4_CMD_SENSE_PORT &&
               native == MLX4_CMD_WRAPPED && in_modifier >= 1 && in_modifier <= MLX4_MAX_PORTS,
           "the command is the one that senses a port");
    drive_add(&asked[in_modifier], 1);
    *out_param = answers[in_modifier];
    return 0;
}

int mlx4_check_port_params(struct mlx4_dev *dev, enum mlx4_port_type *port_type)
{
    unsigned long now = jiffies;

    (void)dev;
    (void)port_type;
    drive_enter(&senses);
    if (drive_irql() != DRIVE_PASSIVE)
        drive_add(&wrong_irql, 1);
    if (!is_whole_second(now))
        drive_add(&off_second, 1);
    if (sensed && (shortest == 0 || now - sensed < shortest))
        shortest = now - sensed;
    sensed = now;
    if (drive_get(&hold)) {
        complete(&inside);
        wait_for_completion(&go_on);
    }
    drive_leave(&senses);
    return drive_get(&params_bad) ? -EINVAL : 0;
}

int mlx4_change_port_types(struct mlx4_dev *dev, enum mlx4_port_type *port_types)
{
    int i;

    for (i = 0; i < MLX4_MAX_PORTS; i++) {
        changed[i] = port_types[i];
        dev->caps.port_type[i + 1] = port_types[i];
    }
    drive_add(&changes, 1);
    return 0;
}

static void make(void)
{
    int port;

    mutex_init(&priv.port_mutex);
    priv.dev.caps.num_ports = MLX4_MAX_PORTS;
    for (port = 1; port <= MLX4_MAX_PORTS; port++) {
        priv.dev.caps.possible_type[port] = MLX4_PORT_TYPE_AUTO;
        priv.dev.caps.port_type[port] = MLX4_PORT_TYPE_ETH;
        priv.sense.sense_allowed[port] = 1;
    }
    mlx4_sense_init(&priv.dev);
}

static void is_off_without_the_feature(void)
{
    mlx4_start_sense(&priv.dev);
    drive_sleep(4 * HZ);
    EFFECT(drive_get(&senses.runs) == 0, "a device without the feature is not sensed");
    priv.dev.caps.flags = MLX4_DEV_CAP_FLAG_DPDP;
}

/* From the middle of a second, so that a relative time of three seconds would not end on a whole one. */
static void to_the_middle_of_a_second(void)
{
    drive_sleep((HZ + HZ / 2 - jiffies % HZ) % HZ);
}

static void senses_every_three_seconds(void)
{
    unsigned long began;
    long rounds = drive_is_live() ? 2 : 5;

    answers[1] = MLX4_PORT_TYPE_IB;
    answers[2] = MLX4_PORT_TYPE_ETH;
    to_the_middle_of_a_second();
    began = jiffies;
    mlx4_start_sense(&priv.dev);
    mlx4_start_sense(&priv.dev);
    DRIVE_WAIT(drive_get(&senses.runs) >= rounds);
    EFFECT(drive_get(&senses.runs) == rounds, "the ports are sensed again and again");
    EFFECT(jiffies - began >= (unsigned long)rounds * (3 * HZ - HZ / 2), "every three seconds");
    EFFECT(shortest >= 3 * HZ - HZ / 4 - 9, "and no sooner");
    EFFECT(drive_get(&off_second) == 0, "on whole seconds");
    EFFECT(drive_get(&wrong_irql) == 0, "at PASSIVE_LEVEL");
    EFFECT(drive_get(&senses.most) == 1, "one at a time");
    DRIVE_WAIT(drive_get(&changes) >= rounds);
    EFFECT(changed[0] == MLX4_PORT_TYPE_IB && changed[1] == MLX4_PORT_TYPE_ETH, "what is found is set");
    EFFECT(drive_get(&asked[1]) == rounds && drive_get(&asked[2]) == rounds,
           "each port is asked once a time");
}

/* Waits for one more round, from the check of its result to the work's next queueing. */
static void next_round(void)
{
    long runs = drive_get(&senses.runs);

    DRIVE_WAIT(drive_get(&senses.runs) > runs);
    DRIVE_WAIT(delayed_work_pending(&priv.sense.sense_poll));
}

static void a_port_keeps_its_type_when_nothing_is_known(void)
{
    long printed = drive_printed("illegal value");
    long asked_first = drive_get(&asked[1]);

    answers[2] = 7;
    priv.sense.do_sense_port[1] = 0;
    next_round();
    EFFECT(drive_printed("illegal value") > printed, "an answer that makes no sense is printed");
    EFFECT(changed[1] == MLX4_PORT_TYPE_ETH, "and the port keeps its type");
    EFFECT(drive_get(&asked[1]) == asked_first, "a port that is not to be sensed is not");
    EFFECT(changed[0] == MLX4_PORT_TYPE_IB, "and keeps its type as well");
    drive_set(&params_bad, 1);
    answers[2] = MLX4_PORT_TYPE_IB;
    next_round();
    EFFECT(changed[1] == MLX4_PORT_TYPE_ETH, "types that do not fit together are not set");
    drive_set(&params_bad, 0);
    next_round();
    EFFECT(changed[1] == MLX4_PORT_TYPE_IB, "and sensing goes on");
}

static long stopped;

static void stop(void *context)
{
    (void)context;
    mlx4_stop_sense(&priv.dev);
    EFFECT(drive_get(&senses.inside) == 0, "the stop waits for a round");
    drive_set(&stopped, 1);
}

static void stops_while_it_senses(void)
{
    struct drive_thread *thread;
    long runs;

    drive_set(&hold, 1);
    wait_for_completion(&inside);
    thread = drive_spawn("stop", -1, stop, NULL);
    drive_sleep(5);
    EFFECT(drive_get(&stopped) == 0, "the stop does not return while a round is under way");
    drive_set(&hold, 0);
    complete(&go_on);
    drive_join(thread);
    runs = drive_get(&senses.runs);
    drive_sleep(4 * HZ);
    EFFECT(drive_get(&senses.runs) == runs, "nothing is sensed after the stop");

    mlx4_start_sense(&priv.dev);
    EFFECT(delayed_work_pending(&priv.sense.sense_poll), "it can be started again");
    mlx4_stop_sense(&priv.dev);
    EFFECT(!delayed_work_pending(&priv.sense.sense_poll), "and stopped before it begins");
}

static void body(void)
{
    init_completion(&inside);
    init_completion(&go_on);
    mlx4_wq = create_singlethread_workqueue("mlx4");
    EFFECT(mlx4_wq != NULL, "there is a queue");
    make();
    is_off_without_the_feature();
    senses_every_three_seconds();
    a_port_keeps_its_type_when_nothing_is_known();
    stops_while_it_senses();
    destroy_workqueue(mlx4_wq);
}

const struct drive_program drive_program = {
    .name = "mlx4",
    .body = body,
    .allowed_reports = NULL,
};
