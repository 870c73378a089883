/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The tests of the environment: each returns NULL, or the condition that does not hold. */
#ifndef COMPAT_TESTS_H
#define COMPAT_TESTS_H

#define EXPECT(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return __FILE__ ": " #condition;                                                                 \
    } while (0)

const char *test_completion_times_out(void);
const char *test_completion_wakes_one_waiter_each(void);
const char *test_completion_of_all(void);
const char *test_completion_in_an_interrupt(void);
const char *test_wait_event(void);
const char *test_mutex(void);
const char *test_kthread(void);
const char *test_kthread_stop_wakes(void);
const char *test_current(void);
const char *test_hrtimer(void);
const char *test_hrtimer_restarts(void);
const char *test_hrtimer_cancel(void);
const char *test_spinlock_against_interrupts(void);
const char *test_irqs_off(void);
const char *test_call_on_cpu(void);
const char *test_memory(void);
const char *test_memory_above_dispatch(void);
const char *test_memory_leak(void);
const char *test_reserve_leak(void);
const char *test_waits_for_ever(void);
const char *test_interrupt_by_dpc(void);
const char *test_delays(void);
const char *test_lists(void);
const char *test_bits_and_atomics(void);
const char *test_messages(void);
const char *test_device(void);

#endif
