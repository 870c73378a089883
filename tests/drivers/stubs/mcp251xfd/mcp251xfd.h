/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Stands in for the private header of Linux's driver of the MCP251xFD, as far as its timestamps need it. */
#ifndef STUB_MCP251XFD_H
#define STUB_MCP251XFD_H

#include <linux/clocksource.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/types.h>
#include <linux/workqueue.h>

/* Whole seconds between two reads. Linux has a number here; the test has to be quick in real time too. */
extern unsigned long mcp251xfd_stub_delay_sec;
#define MCP251XFD_TIMESTAMP_WORK_DELAY_SEC mcp251xfd_stub_delay_sec

struct net_device {
    const char *name;
};

#define netdev_err(dev, fmt, ...) pr_err("%s: " fmt "\n", (dev)->name, __VA_ARGS__)

struct mcp251xfd_priv {
    struct {
        struct {
            u32 freq;
        } clock;
    } can;
    struct net_device *ndev;
    struct cyclecounter cc;
    struct timecounter tc;
    struct delayed_work timestamp;
};

/* The counter of the chip; the test is the chip. */
int mcp251xfd_get_timestamp_raw(const struct mcp251xfd_priv *priv, u32 *ts_raw);

void mcp251xfd_timestamp_init(struct mcp251xfd_priv *priv);
void mcp251xfd_timestamp_start(struct mcp251xfd_priv *priv);
void mcp251xfd_timestamp_stop(struct mcp251xfd_priv *priv);

#endif
