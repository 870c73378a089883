/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A tasklet, and a member of another type.
 *
 * all c: pointer type mismatch
 * all c++: between distinct pointer types|pointer type mismatch|incompatible operand types
 */
#include <linux/interrupt.h>

struct ring {
    long cleaned;
    struct tasklet_struct clean;
};

long cleaned(struct tasklet_struct *t);
long cleaned(struct tasklet_struct *t)
{
    struct ring *ring = from_tasklet(ring, t, cleaned);

    return ring->cleaned;
}
