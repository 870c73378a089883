/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stands in for the header of Linux's I2C, as far as i2c-slave-testunit.c needs it. */
#ifndef STUB_LINUX_I2C_H
#define STUB_LINUX_I2C_H

#include <linux/device.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/types.h>

#define I2C_M_RD 0x0001
#define I2C_CLIENT_END 0xfffeU
#define I2C_NAME_SIZE 20

struct i2c_client;

/* A message on the bus: from the device at `addr` with I2C_M_RD, else to it. */
struct i2c_msg {
    u16 addr;
    u16 flags;
    u16 len;
    u8 *buf;
};

struct i2c_adapter {
    const char *name;
};

enum i2c_slave_event {
    I2C_SLAVE_READ_REQUESTED,
    I2C_SLAVE_WRITE_REQUESTED,
    I2C_SLAVE_READ_PROCESSED,
    I2C_SLAVE_WRITE_RECEIVED,
    I2C_SLAVE_STOP,
};

typedef int (*i2c_slave_cb_t)(struct i2c_client *client, enum i2c_slave_event event, u8 *val);

struct i2c_client {
    unsigned short addr;
    struct i2c_adapter *adapter;
    struct device dev;
    i2c_slave_cb_t slave_cb;
};

struct i2c_device_id {
    char name[I2C_NAME_SIZE];
    uintptr_t driver_data;
};

struct i2c_driver {
    struct device_driver driver;
    int (*probe_new)(struct i2c_client *client);
    void (*remove)(struct i2c_client *client);
    const struct i2c_device_id *id_table;
};

static inline void i2c_set_clientdata(struct i2c_client *client, void *data)
{
    dev_set_drvdata(&client->dev, data);
}

static inline void *i2c_get_clientdata(const struct i2c_client *client)
{
    return dev_get_drvdata(&client->dev);
}

/* The bus and the registration as a device on it; the test is both. */
int i2c_transfer(struct i2c_adapter *adapter, struct i2c_msg *msgs, int num);
int i2c_slave_register(struct i2c_client *client, i2c_slave_cb_t slave_cb);
int i2c_slave_unregister(struct i2c_client *client);

/* Hands the driver to the test. The declaration takes the semicolon of the driver. */
const struct i2c_driver *i2c_stub_driver(void);
#define module_i2c_driver(name)                                                                              \
    const struct i2c_driver *i2c_stub_driver(void)                                                           \
    {                                                                                                        \
        return &(name);                                                                                      \
    }                                                                                                        \
    const struct i2c_driver *i2c_stub_driver(void)

#endif
