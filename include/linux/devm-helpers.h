/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a device takes back when it goes: works and delayed works that are cancelled then.
 *
 * Linux hangs them on its struct device, which is not ours. A port that has one, and Linux's
 * devm_add_action(dev, action, data) for it, defines BOTTOMHALF_OWN_DEVM and includes that first: then the
 * two helpers have Linux's three arguments. Otherwise the list is a struct devm_list in the device's context,
 * which is empty when it is zeroed, each entry is a struct devm_action beside its item, and
 * devm_release_all() is called from EvtDeviceReleaseHardware or EvtCleanupCallback; nothing is allocated.
 *
 * Names and interfaces are Linux's; nothing else is taken from it.
 */
#ifndef BOTTOMHALF_LINUX_DEVM_HELPERS_H
#define BOTTOMHALF_LINUX_DEVM_HELPERS_H

#include <linux/workqueue.h>

BOTTOMHALF_BEGIN

#ifdef BOTTOMHALF_OWN_DEVM

struct device;

static inline void bottomhalf_devm_cancel_work(void *work)
{
    cancel_work_sync((struct work_struct *)work);
}

static inline void bottomhalf_devm_cancel_delayed_work(void *dwork)
{
    cancel_delayed_work_sync((struct delayed_work *)dwork);
}

static inline int devm_work_autocancel(struct device *dev, struct work_struct *work, work_func_t func)
{
    INIT_WORK(work, func);
    return devm_add_action(dev, bottomhalf_devm_cancel_work, work);
}

static inline int devm_delayed_work_autocancel(struct device *dev, struct delayed_work *dwork,
                                               work_func_t func)
{
    INIT_DELAYED_WORK(dwork, func);
    return devm_add_action(dev, bottomhalf_devm_cancel_delayed_work, dwork);
}

#else

/* What a device takes back. Zeroed memory is an empty list. */
struct devm_list {
    struct devm_action *bottomhalf_newest;
};

/* One entry of a devm_list. Zeroed memory, and one that was released, can be added. */
struct devm_action {
    struct devm_action *bottomhalf_older;
    void *bottomhalf_release;
    void *bottomhalf_data;
};

BOTTOMHALF_SIZE(devm_list, 8);
BOTTOMHALF_SIZE(devm_action, 24);

/*
 * Has @release called with @data when @device goes. 0, or -EBUSY (-16) if @action is on a list already
 * (BH26).
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline int devm_add_action(struct devm_list *device, struct devm_action *action,
                                  void (*release)(void *), void *data)
{
    return bottomhalf_devm_add_action(device, action, release, data);
}

/*
 * Does what was added to @device, newest first, and empties it.
 *
 * IRQL: = PASSIVE. Blocks as the cancels do.
 */
BOTTOMHALF_IRQL_PASSIVE
static inline void devm_release_all(struct devm_list *device)
{
    bottomhalf_devm_release_all(device);
}

/*
 * INIT_WORK(), and a cancel_work_sync() when @device goes. Returns as devm_add_action(), and leaves the work
 * as it is if that is not 0.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline int devm_work_autocancel(struct devm_list *device, struct devm_action *action,
                                       struct work_struct *work, work_func_t func)
{
    return bottomhalf_devm_work_autocancel(device, action, work, func);
}

/*
 * INIT_DELAYED_WORK(), and a cancel_delayed_work_sync() when @device goes. Returns as devm_work_autocancel().
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline int devm_delayed_work_autocancel(struct devm_list *device, struct devm_action *action,
                                               struct delayed_work *dwork, work_func_t func)
{
    return bottomhalf_devm_delayed_work_autocancel(device, action, dwork, func);
}

#endif

BOTTOMHALF_END

#endif
