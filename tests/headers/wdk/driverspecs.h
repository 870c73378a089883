/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A header of the shape of the WDK's annotations, for ci/headers.sh: what they expand to can be found. */
#ifndef DRIVERSPECS_H
#define DRIVERSPECS_H

#define _IRQL_requires_max_(irql) annotated_irql(irql)

#endif
