/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Drives i2c-slave-testunit.c: a command is written from the interrupt of the bus, and carried out by a
 * delayed work after ten milliseconds per unit of its last byte.
 */
#include <linux/completion.h>

#include <linux/i2c.h>

#include "compat.h"
#include "drive.h"

#define READ_BYTES 1
#define HOST_NOTIFY 2
#define BLOCK_PROC_CALL 3

static struct i2c_adapter adapter = {.name = "bus"};
static struct i2c_client client = {.addr = 0x30, .adapter = &adapter};
static struct drive_runs transfers;
static struct i2c_msg message;
static u8 message_bytes[3];
static unsigned long stopped_at, transferred_at;
static long wrong_irql;
static long fail;
static struct completion inside;
static struct completion go_on;
static long hold;

int i2c_transfer(struct i2c_adapter *asked, struct i2c_msg *msgs, int num)
{
    EFFECT(asked == &adapter && num == 1, "the message goes to the bus of the device");
    if (drive_irql() != DRIVE_PASSIVE)
        drive_add(&wrong_irql, 1);
    transferred_at = jiffies;
    message = *msgs;
    if (!(msgs->flags & I2C_M_RD))
        memcpy(message_bytes, msgs->buf, sizeof(message_bytes));
    /* Last, because the count says that the rest can be read. */
    drive_enter(&transfers);
    if (drive_get(&hold)) {
        complete(&inside);
        wait_for_completion(&go_on);
    }
    drive_leave(&transfers);
    return drive_get(&fail) ? 0 : num;
}

int i2c_slave_register(struct i2c_client *registered, i2c_slave_cb_t slave_cb)
{
    registered->slave_cb = slave_cb;
    return 0;
}

int i2c_slave_unregister(struct i2c_client *registered)
{
    registered->slave_cb = NULL;
    return 0;
}

struct event {
    enum i2c_slave_event event;
    u8 value;
    int ret;
};

static void happen(void *context)
{
    struct event *event = (struct event *)context;

    event->ret = client.slave_cb(&client, event->event, &event->value);
}

/* In the interrupt of the bus, on any CPU. */
static int on_bus(enum i2c_slave_event event, u8 *value)
{
    struct event happening = {.event = event, .value = value ? *value : 0};

    drive_interrupt((int)drive_choose(4), happen, &happening);
    if (value)
        *value = happening.value;
    return happening.ret;
}

static int write_byte(u8 value)
{
    return on_bus(I2C_SLAVE_WRITE_RECEIVED, &value);
}

static void command(u8 cmd, u8 datal, u8 datah, u8 delay)
{
    EFFECT(on_bus(I2C_SLAVE_WRITE_REQUESTED, NULL) == 0, "an idle device can be written to");
    EFFECT(write_byte(cmd) == 0 && write_byte(datal) == 0 && write_byte(datah) == 0 && write_byte(delay) == 0,
           "and takes a command");
    stopped_at = jiffies;
    on_bus(I2C_SLAVE_STOP, NULL);
}

/* A command is over when the device can be written to again. */
static bool is_idle(void)
{
    return on_bus(I2C_SLAVE_WRITE_REQUESTED, NULL) == 0;
}

static void commands_are_carried_out_after_their_delay(void)
{
    int i;

    for (i = 0; i < 6; i++) {
        u8 delay = (u8)(i == 0 ? 0 : drive_choose(20));
        u8 data = (u8)(1 + drive_choose(100));
        long before = drive_get(&transfers.runs);
        bool notify = drive_choose(2) == 0;

        command(notify ? HOST_NOTIFY : READ_BYTES, data, (u8)(data + 1), delay);
        DRIVE_WAIT(drive_get(&transfers.runs) > before);
        EFFECT(drive_get(&transfers.runs) == before + 1, "a command is carried out");
        EFFECT(time_after_eq(transferred_at, stopped_at + msecs_to_jiffies(10 * delay)),
               "not before its delay");
        EFFECT(drive_is_live() || time_before(transferred_at, stopped_at + msecs_to_jiffies(10 * delay) + 4),
               "and soon after it");
        if (notify)
            EFFECT(message.addr == 0x08 && message.flags == 0 && message.len == 3 &&
                       message_bytes[0] == 0x30 && message_bytes[1] == data && message_bytes[2] == data + 1,
                   "the host is notified with the data");
        else
            EFFECT(message.addr == data && message.flags == I2C_M_RD && message.len == data + 1,
                   "the bytes are read from the device that is named");
        DRIVE_WAIT(is_idle());
        EFFECT(is_idle(), "then the device can be written to");
    }
    EFFECT(drive_get(&wrong_irql) == 0, "at PASSIVE_LEVEL, though the interrupt queues it");
}

static void is_busy_until_then(void)
{
    long before = drive_get(&transfers.runs);
    u8 value = 0;

    command(READ_BYTES, 5, 6, 50);
    EFFECT(on_bus(I2C_SLAVE_WRITE_REQUESTED, NULL) == -EBUSY && write_byte(1) == -EBUSY,
           "a device with a command in process is busy");
    EFFECT(on_bus(I2C_SLAVE_READ_REQUESTED, &value) == 0 && value == 1, "but can be read: its version");
    on_bus(I2C_SLAVE_STOP, NULL);
    EFFECT(drive_get(&transfers.runs) == before, "nothing is carried out before the delay is over");
    DRIVE_WAIT(is_idle());
    EFFECT(drive_get(&transfers.runs) == before + 1 && message.addr == 5, "then it is, once");
}

static void refuses_what_is_wrong(void)
{
    long before = drive_get(&transfers.runs);
    long printed = drive_printed("CMD01 failed");

    EFFECT(on_bus(I2C_SLAVE_WRITE_REQUESTED, NULL) == 0 && write_byte(9) == -EINVAL,
           "there is no such command");
    on_bus(I2C_SLAVE_STOP, NULL);
    on_bus(I2C_SLAVE_WRITE_REQUESTED, NULL);
    write_byte(READ_BYTES);
    write_byte(5);
    write_byte(6);
    write_byte(0);
    EFFECT(write_byte(0) == -EMSGSIZE, "a command has four bytes");
    on_bus(I2C_SLAVE_STOP, NULL);
    drive_sleep(5);
    EFFECT(drive_get(&transfers.runs) == before, "neither is carried out");

    drive_set(&fail, 1);
    command(READ_BYTES, 5, 6, 1);
    DRIVE_WAIT(is_idle());
    EFFECT(drive_printed("CMD01 failed") == printed + 1, "a transfer that fails is printed");
    drive_set(&fail, 0);
}

static long removed;

static void remove_device(void *context)
{
    (void)context;
    i2c_stub_driver()->remove(&client);
    EFFECT(drive_get(&transfers.inside) == 0, "the removal waits for a transfer");
    drive_set(&removed, 1);
}

static void a_removal_waits(void)
{
    struct drive_thread *thread;

    drive_set(&hold, 1);
    command(READ_BYTES, 5, 6, 1);
    wait_for_completion(&inside);
    thread = drive_spawn("removal", -1, remove_device, NULL);
    drive_sleep(5);
    EFFECT(drive_get(&removed) == 0, "the removal does not return while a transfer is under way");
    drive_set(&hold, 0);
    complete(&go_on);
    drive_join(thread);
    EFFECT(client.slave_cb == NULL, "the device is off the bus");
}

static void a_removal_cancels(void)
{
    long before;

    EFFECT(i2c_stub_driver()->probe_new(&client) == 0, "a device can be added again");
    before = drive_get(&transfers.runs);
    command(HOST_NOTIFY, 1, 2, 10);
    i2c_stub_driver()->remove(&client);
    drive_sleep(HZ / 2);
    EFFECT(drive_get(&transfers.runs) == before, "a removed device carries nothing out");
}

static void body(void)
{
    init_completion(&inside);
    init_completion(&go_on);
    compat_device_init(&client.dev, "testunit");
    EFFECT(i2c_stub_driver()->probe_new(&client) == 0, "the device is probed");
    commands_are_carried_out_after_their_delay();
    is_busy_until_then();
    refuses_what_is_wrong();
    a_removal_waits();
    a_removal_cancels();
    compat_device_release(&client.dev);
    EFFECT(compat_allocations() == 0, "nothing is left");
}

const struct drive_program drive_program = {
    .name = "i2c",
    .body = body,
    .allowed_reports = NULL,
};
