/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A library for KMDF 1.33, as far as the glue of attach.c needs one, and a program that has both. */
#undef KMDF_VERSION_MINOR
#define KMDF_VERSION_MINOR 33
#include <bottomhalf.h>

void bottomhalf_is_built_for_kmdf_1_33(void)
{
}

NTSTATUS bottomhalf_attach_driver(WDFDRIVER driver, const struct bottomhalf_config *config,
                                  struct bottomhalf_attachment *attachment)
{
    return driver && config && attachment ? STATUS_SUCCESS : -1;
}

NTSTATUS bottomhalf_attach_device(WDFDEVICE device, const struct bottomhalf_config *config,
                                  struct bottomhalf_attachment *attachment)
{
    return device && config && attachment ? STATUS_SUCCESS : -1;
}

void bottomhalf_detach(struct bottomhalf_attachment *attachment)
{
    (void)attachment;
}

void bottomhalf_freeze(struct bottomhalf_attachment *attachment)
{
    (void)attachment;
}

void bottomhalf_thaw(struct bottomhalf_attachment *attachment)
{
    (void)attachment;
}

void bottomhalf_get_counters(struct bottomhalf_counters *counters)
{
    counters->accepted = 0;
}

int main(void)
{
    return 0;
}
