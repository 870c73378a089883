/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the glue needs of the hardware: accesses to registers on a board, a model on the host.
 */
#ifndef GLUE_H
#define GLUE_H

#include <wdf.h>

#include "sensor.h"

extern const struct sensor_bus device_bus;
/* The device whose interrupts `sensor` is to get from now on; the bus takes what this returns. */
void *device_found(struct sensor *sensor);
/* No interrupt of the device comes any more when this returns. */
void device_disable(void *device);

/* The image's entry point. */
NTSTATUS DriverEntry(PDRIVER_OBJECT driver_object, PUNICODE_STRING registry_path);

#endif
