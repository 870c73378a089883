/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Items as each static initialiser makes them. Functions are numbers, so that the bytes are the same wherever
 * this is compiled: the object of one ABI is compared with that of the other, and with what Rust makes.
 */
#include <linux/interrupt.h>
#include <linux/workqueue.h>

#define CALLBACK ((void (*)(struct tasklet_struct *))0x1112131415161718)
#define FUNC ((void (*)(unsigned long))0x2122232425262728)
#define WORK ((work_func_t)0x3132333435363738)

struct image {
    struct tasklet_struct tasklet;
    struct tasklet_struct tasklet_disabled;
    struct tasklet_struct tasklet_old;
    struct tasklet_struct tasklet_disabled_old;
    struct work_struct work;
    struct delayed_work delayed_work;
};

struct image image = {
    BOTTOMHALF_TASKLET(CALLBACK, true, 0, 0),
    BOTTOMHALF_TASKLET(CALLBACK, true, 1, 0),
    BOTTOMHALF_TASKLET(BOTTOMHALF_CALLBACK(BOTTOMHALF_OLD(FUNC)), false, 0, 0),
    BOTTOMHALF_TASKLET(BOTTOMHALF_CALLBACK(BOTTOMHALF_OLD(FUNC)), false, 1, 0),
    __WORK_INITIALIZER(image.work, WORK),
    __DELAYED_WORK_INITIALIZER(image.delayed_work, WORK, 0),
};
