/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every name of bottomhalf.h, as the glue of a driver uses them. */
#include <bottomhalf.h>

static struct bottomhalf_attachment attachment;

NTSTATUS use_attach(WDFDRIVER driver, WDFDEVICE device, uint64_t *accepted);
NTSTATUS use_attach(WDFDRIVER driver, WDFDEVICE device, uint64_t *accepted)
{
    struct bottomhalf_attachment second = { { 0, 0, 0, 0 } };
    struct bottomhalf_config config;
    struct bottomhalf_counters counters;
    NTSTATUS status;

    bottomhalf_config_init(&config, BOTTOMHALF_NON_REENTRANT);
    config.pin_bound = 1;
    status = bottomhalf_attach_driver(driver, &config, &attachment);
    if (status < 0)
        return status;
    bottomhalf_config_init(&config, BOTTOMHALF_SELF_REENTRANT);
    status = bottomhalf_attach_device(device, &config, &second);
    bottomhalf_freeze(&attachment);
    bottomhalf_thaw(&attachment);
    bottomhalf_get_counters(&counters);
    *accepted = counters.accepted - counters.run - counters.cancelled - counters.pending;
    bottomhalf_detach(&attachment);
    return status;
}
