// SPDX-License-Identifier: MIT OR Apache-2.0
/* Hard interrupts of the simulated machine. */
#include <kmdf_mock.h>

#include "internal.h"

void compat_interrupt(unsigned int cpu, void (*function)(void *context), void *context)
{
    kmdf_mock_interrupt(cpu, function, context);
}
