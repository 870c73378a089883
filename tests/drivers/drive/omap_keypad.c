/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Drives omap-keypad.c: an interrupt schedules a tasklet of the old form, which is disabled until the device
 * is probed, scans the keys, and lets a timer schedule it again while one is pressed.
 */
#include <linux/input.h>
#include <linux/platform_data/gpio-omap.h>
#include <linux/platform_data/keypad-omap.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/soc/ti/omap1-io.h>

#include <compat.h>

#include "drive.h"

#define ROWS 4
#define COLS 4

/* The chip: which keys are pressed, by column; which column is asked; whether its interrupt is off. */
static long pressed[COLS];
static long asked;
static long masked;
static struct drive_runs scans;

static struct omap_kp_platform_data board = {
    .rows = ROWS,
    .cols = COLS,
    /* Only passed on. */
    .keymap_data = (const struct matrix_keymap_data *)&board,
    .delay = 1,
};
static struct platform_device pdev;
static struct input_dev input;
static irqreturn_t (*handler)(int irq, void *dev_id);
static void *handler_data;
static struct timer_list *timer;
static long armed;
static long early_timer;
static const struct device_attribute *enable;
static long irqs_off;

/* What user space sees of each key: its state, and how often it has changed. */
static long state[ROWS * COLS];
static long changes[ROWS * COLS];
static long twice;
static long wrong_irql;

void omap_writew(u16 value, u32 address)
{
    if (address == OMAP1_MPUIO_BASE + OMAP_MPUIO_KBD_MASKIT)
        drive_set(&masked, value);
    if (address != OMAP1_MPUIO_BASE + OMAP_MPUIO_KBC)
        return;
    drive_set(&asked, value);
    if (value == 0xff)
        drive_enter(&scans);
    else if (value == 0)
        drive_leave(&scans);
}

u16 omap_readw(u32 address)
{
    int col;

    EFFECT(address == OMAP1_MPUIO_BASE + OMAP_MPUIO_KBR_LATCH, "the rows of a column are read");
    for (col = 0; col < COLS; col++)
        if (drive_get(&asked) == (~(1 << col) & 0xff))
            return (u16)~drive_get(&pressed[col]);
    EFFECT(false, "of one column");
    return 0;
}

void input_report_key(struct input_dev *dev, unsigned int code, int value)
{
    EFFECT(dev == &input && code >= 1 && code <= ROWS * COLS, "a key of the keypad is reported");
    if (drive_irql() != DRIVE_DISPATCH || !in_serving_softirq())
        drive_add(&wrong_irql, 1);
    if (drive_get(&state[code - 1]) == !!value)
        drive_add(&twice, 1);
    drive_set(&state[code - 1], !!value);
    drive_add(&changes[code - 1], 1);
}

void input_sync(struct input_dev *dev)
{
    (void)dev;
}

struct input_dev *input_allocate_device(void)
{
    return &input;
}

void input_free_device(struct input_dev *dev)
{
    (void)dev;
}

int input_register_device(struct input_dev *dev)
{
    (void)dev;
    return 0;
}

void input_unregister_device(struct input_dev *dev)
{
    EFFECT(dev == &input, "what is unregistered was registered");
}

unsigned int get_count_order(unsigned int count)
{
    unsigned int order = 0;

    while (1u << order < count)
        order++;
    return order;
}

/* A key's code is one more than its place. */
int matrix_keypad_build_keymap(const struct matrix_keymap_data *data, const char *name, unsigned int rows,
                               unsigned int cols, unsigned short *keymap, struct input_dev *dev)
{
    unsigned int row, col;

    (void)data;
    (void)name;
    for (row = 0; row < rows; row++)
        for (col = 0; col < cols; col++)
            keymap[MATRIX_SCAN_CODE(row, col, get_count_order(cols))] =
                (unsigned short)(1 + row * COLS + col);
    dev->keycode = keymap;
    return 0;
}

int device_create_file(struct device *dev, const struct device_attribute *attr)
{
    (void)dev;
    enable = attr;
    return 0;
}

void device_remove_file(struct device *dev, const struct device_attribute *attr)
{
    (void)dev;
    (void)attr;
}

void gpio_free(unsigned int gpio)
{
    (void)gpio;
}

int platform_get_irq(struct platform_device *device, unsigned int number)
{
    (void)device;
    return (int)number;
}

int request_irq(unsigned int irq, irqreturn_t (*function)(int irq, void *dev_id), unsigned long flags,
                const char *name, void *dev_id)
{
    (void)irq;
    (void)flags;
    (void)name;
    handler = function;
    handler_data = dev_id;
    return 0;
}

void free_irq(unsigned int irq, void *dev_id)
{
    (void)irq;
    EFFECT(dev_id == handler_data, "what is freed was requested");
    handler = NULL;
}

void enable_irq(unsigned int irq)
{
    (void)irq;
    drive_add(&irqs_off, -1);
}

void disable_irq(unsigned int irq)
{
    (void)irq;
    drive_add(&irqs_off, 1);
}

/* The timer, which runs when the test lets it. */
void timer_setup(struct timer_list *made, void (*function)(struct timer_list *timer), unsigned int flags)
{
    (void)flags;
    made->function = function;
    timer = made;
}

int mod_timer(struct timer_list *set, unsigned long expires)
{
    int was = (int)drive_get(&armed);

    if (time_before(expires, jiffies + HZ / 20 - 1))
        drive_add(&early_timer, 1);
    set->expires = expires;
    drive_set(&armed, 1);
    return was;
}

int del_timer_sync(struct timer_list *deleted)
{
    int was = (int)drive_get(&armed);

    EFFECT(deleted == timer, "what is deleted was made");
    drive_set(&armed, 0);
    return was;
}

static void expire(void)
{
    EFFECT(drive_get(&armed) == 1, "the timer is armed");
    drive_set(&armed, 0);
    local_bh_disable();
    timer->function(timer);
    local_bh_enable();
    drive_settle();
}

/* The chip raises its interrupt where it is not off. */
static void interrupt(void *context)
{
    (void)context;
    if (!drive_get(&masked) && handler)
        EFFECT(handler(0, handler_data) == IRQ_HANDLED, "the interrupt is the keypad's");
}

static void raise(int cpu)
{
    drive_interrupt(cpu, interrupt, NULL);
}

static void a_key_is_pressed_and_released(void)
{
    drive_set(&pressed[1], 1 << 2);
    raise((int)drive_choose(4));
    drive_settle();
    EFFECT(drive_get(&state[2 * COLS + 1]) == 1, "a key that is pressed is reported");
    EFFECT(drive_get(&masked) == 1, "the interrupt stays off while it is");
    expire();
    EFFECT(drive_get(&changes[2 * COLS + 1]) == 1, "once");
    drive_set(&pressed[1], 0);
    expire();
    EFFECT(drive_get(&state[2 * COLS + 1]) == 0, "and its release");
    EFFECT(drive_get(&masked) == 0 && drive_get(&armed) == 0, "then the interrupt is on and no timer runs");
}

static void on_cpu(void *context)
{
    int cpu = (int)(uintptr_t)context;
    int i;

    for (i = 0; i < 30; i++) {
        drive_set(&pressed[cpu], (long)drive_choose(1 << ROWS));
        raise(cpu);
        if (drive_choose(4) == 0)
            drive_sleep(1);
    }
    drive_set(&pressed[cpu], 1 << cpu);
}

static void interrupts_of_all_cpus(void)
{
    struct drive_thread *threads[COLS];
    int i, row;

    for (i = 0; i < COLS; i++)
        threads[i] = drive_spawn("keys", i, on_cpu, (void *)(uintptr_t)i);
    for (i = 0; i < COLS; i++)
        drive_join(threads[i]);
    drive_settle();
    if (drive_get(&masked))
        expire();
    else
        raise(0);
    drive_settle();
    for (i = 0; i < COLS; i++)
        for (row = 0; row < ROWS; row++)
            EFFECT(drive_get(&state[row * COLS + i]) == (row == i),
                   "in the end the keys are known as they are");
    EFFECT(drive_get(&scans.most) == 1, "one scan at a time");
    EFFECT(drive_get(&twice) == 0, "every report is a change");
    for (i = 0; i < COLS; i++)
        drive_set(&pressed[i], 0);
    expire();
}

/* Writes to the device's file. */
static bool user_space_writes(const char *text)
{
    return enable->store(&pdev.dev, (struct device_attribute *)enable, text, 1) == 1;
}

static void is_switched_by_user_space(void)
{
    EFFECT(user_space_writes("0") && drive_get(&irqs_off) == 1, "user space switches its interrupt off");
    EFFECT(user_space_writes("1") && drive_get(&irqs_off) == 0, "and on");
}

static void body(void)
{
    const struct platform_driver *driver = stub_platform_driver();
    int round;

    pdev.dev.platform_data = &board;
    for (round = 0; round < 2; round++) {
        EFFECT(driver->probe(&pdev) == 0, "the device is probed");
        drive_set(&changes[2 * COLS + 1], 0);
        a_key_is_pressed_and_released();
        interrupts_of_all_cpus();
        is_switched_by_user_space();
        EFFECT(driver->remove(&pdev) == 0 && handler == NULL, "and removed");
        EFFECT(compat_allocations() == 0, "which leaves nothing, and it can be probed again");
    }
    EFFECT(drive_get(&wrong_irql) == 0, "the tasklet runs at DISPATCH_LEVEL");
    EFFECT(drive_get(&early_timer) == 0, "the timer is set to a twentieth of a second");
}

const struct drive_program drive_program = {
    .name = "omap_keypad",
    .body = body,
    .allowed_reports = NULL,
};
