/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Lock dependencies are not tracked here. */
#ifndef COMPAT_LINUX_LOCKDEP_H
#define COMPAT_LINUX_LOCKDEP_H

struct lock_class_key {
    char unused;
};
#ifndef lockdep_assert_held
#define lockdep_assert_held(lock) ((void)(lock))
#endif
#define lockdep_set_class(lock, key) ((void)(lock), (void)(key))

#endif
