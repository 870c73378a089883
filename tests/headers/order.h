/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A context with members of both worlds, and a function that uses both. */
struct both {
    LIST_ENTRY link;
    struct work_struct work;
    struct tasklet_struct tasklet;
};

NTSTATUS use_both(PLIST_ENTRY link, WDFDRIVER driver, const struct bottomhalf_config *config,
                  struct bottomhalf_attachment *attachment);
NTSTATUS use_both(PLIST_ENTRY link, WDFDRIVER driver, const struct bottomhalf_config *config,
                  struct bottomhalf_attachment *attachment)
{
    struct both *both = CONTAINING_RECORD(link, struct both, link);
    struct both *same = container_of(&both->work, struct both, work);

    InitializeListHead(&same->link);
    if (KeGetCurrentIrql() > DISPATCH_LEVEL || !queue_work(system_wq, &same->work))
        tasklet_schedule(&both->tasklet);
    return bottomhalf_attach_driver(driver, config, attachment);
}
