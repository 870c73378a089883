/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A header of the shape of cl.exe's annotations, for ci/headers.sh: what they expand to can be found. */
#ifndef _SAL_H_
#define _SAL_H_

#ifdef _PREFAST_
#define _Must_inspect_result_ annotated_result
#define _Printf_format_string_ annotated_format
#endif

#endif
