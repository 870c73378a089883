// SPDX-License-Identifier: MIT OR Apache-2.0
/* The kit of the conformance scenarios: running them, waiting with a bound, threads, interrupts, counting. */
#include "kit.h"

/* The files with scenarios. What asks nothing of this kernel, because it is older, is left out. */
#define KIT_FILES(file)                  \
    file(tasklets)                       \
    file(tasklets_more)                  \
    file(tasklets_beyond)                \
    file(contexts)                       \
    file(works)                          \
    file(works_sync)                     \
    file(works_race)                     \
    file(works_more)                     \
    file(works_disable)                  \
    file(works_bh)                       \
    file(works_again)                    \
    file(queues)                         \
    file(queues_more)                    \
    file(queues_waits)                   \
    file(queues_bh)                      \
    file(queues_races)                   \
    file(delayed)                        \
    file(delayed_ticks)                  \
    file(delayed_sync)                   \
    file(delayed_more)                   \
    file(delayed_states)                 \
    file(delayed_races)                  \
    file(delayed_often)                  \
    file(jiffies)                        \
    file(timelines)                      \
    file(misuse)                         \
    file(queues_misuse)

#define KIT_DECLARE(file) extern const struct kit_group kit_group_##file __attribute__((weak));
KIT_FILES(KIT_DECLARE)
#define KIT_LIST(file) &kit_group_##file,
static const struct kit_group *const kit_groups[] = {KIT_FILES(KIT_LIST)};

/* A step of kit_sleep_step is a tick or two, one of kit_spin_step SPIN_US; both bounds are about 20 s. */
#define SLEEP_STEPS 2500u
#define SPIN_US 20
#define SPIN_STEPS 1000000u
#define SETTLE_STEPS 6
#define THREADS 40

struct kit_thread {
    void (*fn)(void *arg);
    void *arg;
    struct completion done;
    atomic_t is_taken;
    atomic_t is_done;
};

struct interrupt {
    struct hrtimer timer;
    void (*fn)(void *arg);
    void *arg;
    atomic_t is_done;
};

static struct kit_thread kit_threads[THREADS];

/* The scenario that runs. */
static struct {
    char line[320];
    size_t length;
    unsigned int diagnostics;
    atomic_t is_hung;
    char hung_at[96];
} kit;

void kit_hang(const char *what)
{
    if (atomic_cmpxchg(&kit.is_hung, 0, 1) == 0)
        scnprintf(kit.hung_at, sizeof(kit.hung_at), "%s", what);
}

bool kit_is_hung(void)
{
    return atomic_read(&kit.is_hung) != 0;
}

/* On an emulated machine with several CPUs udelay() alone may be many times too short. */
static void spin_us(unsigned int us)
{
    s64 from = ktime_to_ns(ktime_get()), left = (s64)us * 1000;

    while (left > 0) {
        udelay((u32)left / 1000 + 1);
        left = (s64)us * 1000 - (ktime_to_ns(ktime_get()) - from);
    }
}

bool kit_sleep_step(unsigned int *steps, const char *what)
{
    if (kit_is_hung())
        return false;
    if (++*steps > SLEEP_STEPS) {
        kit_hang(what);
        return false;
    }
    msleep(1);
    return true;
}

bool kit_spin_step(unsigned int *steps, const char *what)
{
    if (kit_is_hung())
        return false;
    if (++*steps > SPIN_STEPS) {
        kit_hang(what);
        return false;
    }
    spin_us(SPIN_US);
    return true;
}

void kit_settle(void)
{
    int i;

    /* Steps, because a machine that stood still for a while finds one long sleep over at once. */
    for (i = 0; i < SETTLE_STEPS; i++)
        msleep(1);
}

void kit_burn_ms(unsigned int ms)
{
    unsigned int i;

    for (i = 0; i < ms * 10; i++)
        spin_us(100);
}

void kit_gate_init(struct kit_gate *gate)
{
    init_completion(&gate->opened);
    atomic_set(&gate->is_open, 0);
    atomic_set(&gate->arrived, 0);
}

void kit_gate_sleep(struct kit_gate *gate)
{
    atomic_inc(&gate->arrived);
    if (wait_for_completion_timeout(&gate->opened, 30 * HZ) == 0)
        kit_hang("a gate");
}

void kit_gate_spin(struct kit_gate *gate)
{
    atomic_inc(&gate->arrived);
    kit_spin_until(atomic_read(&gate->is_open));
}

void kit_gate_open(struct kit_gate *gate)
{
    atomic_set(&gate->is_open, 1);
    complete_all(&gate->opened);
}

void kit_gate_await(struct kit_gate *gate, int arrived)
{
    kit_wait_until(atomic_read(&gate->arrived) >= arrived);
}

void kit_seen_init(struct kit_seen *seen)
{
    int i;

    atomic_set(&seen->begun, 0);
    atomic_set(&seen->ended, 0);
    atomic_set(&seen->inside, 0);
    atomic_set(&seen->most, 0);
    for (i = 0; i < KIT_RUNS; i++)
        atomic_set(&seen->cpus[i], -1);
}

int kit_enter(struct kit_seen *seen)
{
    int inside = atomic_inc_return(&seen->inside);
    int most = atomic_read(&seen->most);
    int run = atomic_inc_return(&seen->begun);

    while (inside > most) {
        int was = atomic_cmpxchg(&seen->most, most, inside);

        if (was == most)
            break;
        most = was;
    }
    if (run <= KIT_RUNS)
        atomic_set(&seen->cpus[run - 1], raw_smp_processor_id());
    return run;
}

void kit_leave(struct kit_seen *seen)
{
    atomic_dec(&seen->inside);
    atomic_inc(&seen->ended);
}

int kit_cpu_of(struct kit_seen *seen, int run)
{
    return run >= 1 && run <= KIT_RUNS ? atomic_read(&seen->cpus[run - 1]) : -1;
}

void kit_marks_init(struct kit_marks *marks)
{
    memset(marks->text, 0, sizeof(marks->text));
    atomic_set(&marks->count, 0);
}

void kit_mark(struct kit_marks *marks, char letter)
{
    int at = atomic_inc_return(&marks->count) - 1;

    if (at < KIT_MARKS - 1)
        WRITE_ONCE(marks->text[at], letter);
}

void answer_marks(const char *key, struct kit_marks *marks)
{
    answer_text(key, marks->text[0] ? marks->text : "-");
}

static int kit_thread_main(void *data)
{
    struct kit_thread *thread = data;

    thread->fn(thread->arg);
    atomic_set(&thread->is_done, 1);
    complete_all(&thread->done);
    return 0;
}

struct kit_thread *kit_thread_on(int cpu, void (*fn)(void *arg), void *arg)
{
    struct kit_thread *thread = kit_threads;
    struct task_struct *task;

    while (thread < kit_threads + THREADS && atomic_cmpxchg(&thread->is_taken, 0, 1) != 0)
        thread++;
    if (thread == kit_threads + THREADS) {
        kit_hang("a free thread");
        return NULL;
    }
    thread->fn = fn;
    thread->arg = arg;
    init_completion(&thread->done);
    atomic_set(&thread->is_done, 0);
    task = kthread_create(kit_thread_main, thread, "kit/%d", (int)(thread - kit_threads));
    if (IS_ERR(task)) {
        kit_hang("a thread");
        return NULL;
    }
    kthread_bind(task, (unsigned int)cpu);
    wake_up_process(task);
    return thread;
}

bool kit_thread_done(struct kit_thread *thread)
{
    return thread && atomic_read(&thread->is_done) != 0;
}

/* A thread that does not end keeps its place for good. */
void kit_join(struct kit_thread *thread)
{
    if (!thread)
        return;
    if (wait_for_completion_timeout(&thread->done, (kit_is_hung() ? 1 : 30) * HZ) == 0)
        kit_hang("a thread's end");
    else
        atomic_set(&thread->is_taken, 0);
}

void kit_run_on(int cpu, void (*fn)(void *arg), void *arg)
{
    kit_join(kit_thread_on(cpu, fn, arg));
}

static enum hrtimer_restart interrupt_main(struct hrtimer *timer)
{
    struct interrupt *interrupt = container_of(timer, struct interrupt, timer);

    interrupt->fn(interrupt->arg);
    atomic_set(&interrupt->is_done, 1);
    return HRTIMER_NORESTART;
}

/* An interrupt of a pinned timer, and hence on the CPU of whoever starts it. */
void kit_hardirq_here(void (*fn)(void *arg), void *arg)
{
    static struct interrupt interrupt;

    interrupt.fn = fn;
    interrupt.arg = arg;
    atomic_set(&interrupt.is_done, 0);
    hrtimer_init(&interrupt.timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
    interrupt.timer.function = interrupt_main;
    hrtimer_start(&interrupt.timer, ns_to_ktime(100000), HRTIMER_MODE_REL_PINNED_HARD);
    kit_spin_until(atomic_read(&interrupt.is_done));
    hrtimer_cancel(&interrupt.timer);
}

struct call {
    void (*fn)(void *arg);
    void *arg;
};

static void call_in_hardirq(void *arg)
{
    struct call *call = arg;

    kit_hardirq_here(call->fn, call->arg);
}

void kit_hardirq_on(int cpu, void (*fn)(void *arg), void *arg)
{
    static struct call call;

    call.fn = fn;
    call.arg = arg;
    kit_run_on(cpu, call_in_hardirq, &call);
}

void answer_text(const char *key, const char *value)
{
    int length = scnprintf(kit.line + kit.length, sizeof(kit.line) - kit.length, " %s=%s", key, value);

    kit.length += (size_t)length;
    if (kit.length == sizeof(kit.line) - 1)
        kit_hang("room for the line");
}

void answer(const char *key, long long value)
{
    char text[24];

    snprintf(text, sizeof(text), "%lld", value);
    answer_text(key, text);
}

unsigned int kit_diagnosed(void)
{
    kit_settle();
    return conformance_diagnostics() - kit.diagnostics;
}

static void scenario_main(void *arg)
{
    const struct kit_scenario *scenario = arg;

    scenario->run();
}

static void run_one(const struct kit_scenario *scenario)
{
    struct kit_thread *thread;

    kit.length = scnprintf(kit.line, sizeof(kit.line), "%s", scenario->id);
    kit.diagnostics = conformance_diagnostics();
    atomic_set(&kit.is_hung, 0);
    thread = kit_thread_on(0, scenario_main, (void *)scenario);
    /* The scenario's own waits end after 30 s each; then its other waits end at once. */
    if (thread && wait_for_completion_timeout(&thread->done, 100 * HZ) == 0)
        kit_hang("the scenario's end");
    else
        kit_join(thread);
    if (kit_is_hung())
        scnprintf(kit.line, sizeof(kit.line), "%s HANG %s", scenario->id, kit.hung_at);
    conformance_emit(kit.line);
}

/* Whether a word is in a list with commas; a list that is NULL, empty or "all" has every word. */
static bool is_listed(const char *list, const char *word)
{
    size_t length = strlen(word);

    if (!list || !*list || strcmp(list, "all") == 0)
        return true;
    while (list) {
        if (memcmp(list, word, min(length, strlen(list))) == 0 && strlen(list) >= length &&
            (list[length] == ',' || list[length] == 0))
            return true;
        list = strchr(list, ',');
        if (list)
            list++;
    }
    return false;
}

int conformance_run(const char *group, const char *only)
{
    unsigned int i, j;
    int ran = 0;

    for (i = 0; i < ARRAY_SIZE(kit_groups); i++) {
        const struct kit_group *in = kit_groups[i];

        for (j = 0; in && is_listed(group, in->name) && j < in->count; j++) {
            if (!is_listed(only, in->scenarios[j].id))
                continue;
            run_one(&in->scenarios[j]);
            ran++;
        }
    }
    return ran ? ran : -ENOENT;
}

bool conformance_scenario(unsigned int number, const char **id, const char **group)
{
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(kit_groups); i++) {
        const struct kit_group *in = kit_groups[i];

        if (in && number < in->count) {
            *id = in->scenarios[number].id;
            *group = in->name;
            return true;
        }
        number -= in ? in->count : 0;
    }
    return false;
}
