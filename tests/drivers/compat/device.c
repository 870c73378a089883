// SPDX-License-Identifier: MIT OR Apache-2.0
/* Memory that belongs to a device. */
#include <linux/device.h>
#include <linux/slab.h>

/* Before a block; aligned as the block itself has to be. */
struct devres {
    struct list_head entry;
};

void compat_device_init(struct device *dev, const char *name)
{
    dev->init_name = name;
    dev->kobj.name = name;
    INIT_LIST_HEAD(&dev->devres_head);
}

void compat_device_release(struct device *dev)
{
    struct devres *res, *next;

    list_for_each_entry_safe(res, next, &dev->devres_head, entry)
        kfree(res);
    INIT_LIST_HEAD(&dev->devres_head);
}

void *devm_kmalloc(struct device *dev, size_t size, gfp_t flags)
{
    struct devres *res = kmalloc(sizeof(*res) + size, flags);

    if (!res)
        return NULL;
    list_add(&res->entry, &dev->devres_head);
    return res + 1;
}

void *devm_kzalloc(struct device *dev, size_t size, gfp_t flags)
{
    return devm_kmalloc(dev, size, flags | __GFP_ZERO);
}
