// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * What ties the driver to KMDF: it attaches when the device comes, and detaches when it goes. The service
 * routine of the device's WDFINTERRUPT calls sensor_interrupt(); the driver needs no other object of KMDF.
 */
#include "glue.h"

#include <bottomhalf.h>

typedef struct device_context {
    struct bottomhalf_attachment attachment;
    struct sensor sensor;
    bool attached;
    bool started;
} DEVICE_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(DEVICE_CONTEXT, get_context)

/* The device is gone. First who queues, then what is queued, then the detach. */
static VOID evt_device_cleanup(WDFOBJECT device)
{
    DEVICE_CONTEXT *context = get_context(device);

    if (context->started) {
        device_disable(context->sensor.device);
        sensor_stop(&context->sensor);
    }
    if (context->attached)
        bottomhalf_detach(&context->attachment);
}

static NTSTATUS evt_device_add(WDFDRIVER driver, PWDFDEVICE_INIT init)
{
    struct bottomhalf_config config;
    WDF_OBJECT_ATTRIBUTES attributes;
    DEVICE_CONTEXT *context;
    WDFDEVICE device;
    NTSTATUS status;

    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, DEVICE_CONTEXT);
    attributes.EvtCleanupCallback = evt_device_cleanup;
    status = WdfDeviceCreate(&init, &attributes, &device);
    if (!NT_SUCCESS(status))
        return status;
    context = get_context(device);

    bottomhalf_config_init(&config, BOTTOMHALF_NON_REENTRANT);
    status = bottomhalf_attach_driver(driver, &config, &context->attachment);
    if (!NT_SUCCESS(status))
        return status;
    context->attached = true;

    if (sensor_start(&context->sensor, &device_bus, device_found(&context->sensor)))
        return STATUS_INSUFFICIENT_RESOURCES;
    context->started = true;
    return STATUS_SUCCESS;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver_object, PUNICODE_STRING registry_path)
{
    WDF_DRIVER_CONFIG config;

    WDF_DRIVER_CONFIG_INIT(&config, evt_device_add);
    return WdfDriverCreate(driver_object, registry_path, WDF_NO_OBJECT_ATTRIBUTES, &config, WDF_NO_HANDLE);
}
