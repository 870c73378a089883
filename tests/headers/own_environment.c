/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A port with types and a struct device of its own: the helpers of devm have Linux's arguments then. */
#define BOTTOMHALF_OWN_TYPES
#define BOTTOMHALF_OWN_DEVM

struct list_head {
    struct list_head *next, *prev;
};
typedef struct {
    int counter;
} atomic_t;
typedef struct {
    long counter;
} atomic_long_t;

struct device {
    int actions;
};

static inline int devm_add_action(struct device *dev, void (*action)(void *), void *data)
{
    dev->actions += action && data;
    return 0;
}

#include <linux/devm-helpers.h>

static void work(struct work_struct *w)
{
    (void)w;
}

int use_linux_devm(struct device *dev, struct work_struct *w, struct delayed_work *dwork);
int use_linux_devm(struct device *dev, struct work_struct *w, struct delayed_work *dwork)
{
    return devm_work_autocancel(dev, w, work) || devm_delayed_work_autocancel(dev, dwork, work);
}
