/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What becomes of an `unsigned long` on its way down to the library and back, where it has 64 bits and where
 * it has 32. Compiled with optimisation, every expectation that holds is gone; one that does not leaves a
 * call of a function that does not exist.
 */
#include <linux/interrupt.h>
#include <linux/workqueue.h>

void an_expectation_does_not_hold(void);
#define EXPECT(condition) \
    do { \
        if (!(condition)) \
            an_expectation_does_not_hold(); \
    } while (0)
#define IS_NARROW (sizeof(unsigned long) == 4)

/* The library: a clock that is past the first wrap of 32 bits, and calls that answer about their argument. */
#define NOW 0x100000123ull
static uint64_t passed;

#ifdef __cplusplus
extern "C" {
#endif
uint64_t bottomhalf_jiffies(void)
{
    return NOW;
}

bool bottomhalf_schedule_delayed_work(struct delayed_work *dwork, uint64_t delay)
{
    (void)dwork;
    passed = delay;
    return true;
}

uint64_t bottomhalf_round_jiffies(uint64_t j)
{
    return j + 7;
}

uint64_t bottomhalf_round_jiffies_relative(uint64_t j)
{
    passed = j;
    return j;
}

uint64_t bottomhalf_msecs_to_jiffies(uint32_t msecs)
{
    return msecs == UINT32_MAX ? (uint64_t)(INT64_MAX >> 1) - 1 : msecs;
}

int64_t bottomhalf_work_on_cpu(int32_t cpu, int64_t (*func)(void *), void *arg)
{
    (void)cpu;
    return func ? func(arg) : -22;
}
#ifdef __cplusplus
}
#endif

void expect_delays(struct delayed_work *dwork);
void expect_delays(struct delayed_work *dwork)
{
    schedule_delayed_work(dwork, 5);
    EXPECT(passed == 5);
    schedule_delayed_work(dwork, (unsigned long)-1);
    EXPECT(passed == UINT64_MAX);
    schedule_delayed_work(dwork, MAX_JIFFY_OFFSET);
    EXPECT(passed == (IS_NARROW ? 0x3ffffffeull : 0x3ffffffffffffffeull));
}

void expect_times(void);
void expect_times(void)
{
    EXPECT(jiffies == (unsigned long)NOW);
    EXPECT(jiffies == (IS_NARROW ? 0x123 : NOW));
    EXPECT(INITIAL_JIFFIES == 4294892296u);
    EXPECT(time_after(jiffies + 1, jiffies));
    EXPECT(time_before(jiffies - 0x200, jiffies));
    EXPECT(time_after(INITIAL_JIFFIES + 75001, INITIAL_JIFFIES));
    EXPECT(time_after((unsigned long)1, (unsigned long)-1));
    EXPECT(!time_after(jiffies, jiffies + MAX_JIFFY_OFFSET + 1));
    EXPECT(time_after64(NOW, 0xffffffffull));
    EXPECT(round_jiffies(jiffies + 1) == (unsigned long)(NOW + 8));
    EXPECT(round_jiffies(jiffies - 0x200) == (unsigned long)(NOW - 0x200 + 7));
    EXPECT(round_jiffies_relative((unsigned long)-3) == (unsigned long)-3);
    EXPECT(passed == (uint64_t)-3);
}

void expect_conversions(void);
void expect_conversions(void)
{
    EXPECT(msecs_to_jiffies(10) == 10);
    EXPECT(msecs_to_jiffies(UINT32_MAX) == MAX_JIFFY_OFFSET);
    EXPECT(msecs_to_jiffies(INT32_MAX) == INT32_MAX);
}

static long minus(void *arg)
{
    return -*(long *)arg;
}

void expect_results(void);
void expect_results(void)
{
    long number = 5;

    EXPECT(work_on_cpu(0, minus, &number) == -5);
    EXPECT(work_on_cpu(0, NULL, &number) == -22);
}

static void func(unsigned long data)
{
    (void)data;
}

void expect_data(int number);
void expect_data(int number)
{
    struct tasklet_struct t;

    tasklet_init(&t, func, 5);
    EXPECT(t.func == func && !t.use_callback && t.state == 0 && t.count.counter == 0);
#ifdef BOTTOMHALF_LLP64
    EXPECT(t.bottomhalf_data == 5);
    tasklet_init(&t, func, -number & 1);
    EXPECT(t.bottomhalf_data < 2);
#else
    EXPECT(t.data == 5);
    tasklet_init(&t, func, (unsigned long)&number);
    EXPECT(t.data == (unsigned long)&number);
#endif
}
