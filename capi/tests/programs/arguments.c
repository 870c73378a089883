// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Every exported function, with what it is to be given and with each argument null or zeroed, one at a
 * time: at PASSIVE_LEVEL, at DISPATCH_LEVEL and in an interrupt; before the attach, attached and after the
 * detach. The test writes arguments.inc from the prototypes of the headers. Prints a line for each call:
 * what was called, the answer, and the BH codes that were reported; the first half of the line stands
 * before the call is made.
 */
#include <bottomhalf.h>
#include <kmdf_mock.h>
#include <linux/devm-helpers.h>
#include <linux/interrupt.h>

#define TAG 0x53475241u /* "ARGS" */

/* What a function can be given. */
enum kind {
    TASKLET, WORK, DWORK, WQ, EXECUTE, LIST, ACTION, CONFIG, ATTACHMENT, COUNTERS, NAME, DATA, DRIVER, DEVICE,
    FUNCTION_OF_TASKLET, FUNCTION_OF_DATA, FUNCTION_OF_WORK, FUNCTION_ON_CPU, FUNCTION_OF_ACTION, NUMBER,
    FLAGS, KINDS
};

struct call {
    const char *name;
    /* 'b' for bool, 'i' for a number that says how it went, 'p' for a pointer, else 0. */
    char answer;
    uint64_t (*call)(void *const *given);
    int count;
    enum kind kinds[4];
    /* What stands in the messages for each argument. */
    const char *names[4];
};

#include "arguments.inc"

enum phase { BEFORE, ATTACHED, AFTER, PHASES };
static const char *const phase_names[PHASES] = { "before", "attached", "after" };

enum level { PASSIVE, DISPATCH, INTERRUPT, LEVELS };
static const char *const level_names[LEVELS] = { "passive", "dispatch", "interrupt" };

enum variant { GOOD, NULLED, ZEROED };
static const char *const variant_names[] = { "", "null", "zeroed" };

/* One line. */
static struct ask {
    const struct call *call;
    enum phase phase;
    enum level level;
    enum variant variant;
    int argument;
    void *given[4];
    uint64_t answer;
    uint8_t irql_before;
    uint8_t irql_after;
    bool done;
} ask;

static void a_tasklet(struct tasklet_struct *tasklet)
{
    (void)tasklet;
}
static void of_data(uintptr_t data)
{
    (void)data;
}
static void a_work(struct work_struct *work)
{
    (void)work;
}
static int64_t on_cpu(void *arg)
{
    (void)arg;
    return 7;
}
static void an_action(void *data)
{
    (void)data;
}

/* The good ones of a machine. */
static struct things {
    struct tasklet_struct tasklet;
    struct work_struct work;
    struct delayed_work dwork;
    struct execute_work execute;
    struct devm_list list;
    struct devm_action action;
    struct bottomhalf_config config;
    struct bottomhalf_attachment own, other;
    struct bottomhalf_counters counters;
} *things;

static bool attaches(void)
{
    return strncmp(ask.call->name, "bottomhalf_attach_", 18) == 0;
}

static void *zeroes(enum kind kind)
{
    static const size_t sizes[KINDS] = {
        [TASKLET] = sizeof(struct tasklet_struct), [WORK] = sizeof(struct work_struct),
        [DWORK] = sizeof(struct delayed_work), [EXECUTE] = sizeof(struct execute_work),
        [LIST] = sizeof(struct devm_list), [ACTION] = sizeof(struct devm_action),
        [CONFIG] = sizeof(struct bottomhalf_config), [ATTACHMENT] = sizeof(struct bottomhalf_attachment),
        [COUNTERS] = sizeof(struct bottomhalf_counters), [NAME] = 1,
    };

    return sizes[kind] ? ExAllocatePool2(POOL_FLAG_NON_PAGED, sizes[kind], TAG) : NULL;
}

static void *good(enum kind kind, WDFDRIVER driver, WDFDEVICE device, struct workqueue_struct *wq)
{
    switch (kind) {
    case TASKLET: return &things->tasklet;
    case WORK: return &things->work;
    case DWORK: return &things->dwork;
    case WQ: return wq;
    case EXECUTE: return &things->execute;
    case LIST: return &things->list;
    case ACTION: return &things->action;
    case CONFIG: return &things->config;
    case ATTACHMENT: return attaches() ? &things->other : &things->own;
    case COUNTERS: return &things->counters;
    case NAME: return (void *)(uintptr_t)"a name";
    case DRIVER: return driver;
    case DEVICE: return device;
    case FUNCTION_OF_TASKLET: return (void *)(uintptr_t)a_tasklet;
    case FUNCTION_OF_DATA: return (void *)(uintptr_t)of_data;
    case FUNCTION_OF_WORK: return (void *)(uintptr_t)a_work;
    case FUNCTION_ON_CPU: return (void *)(uintptr_t)on_cpu;
    case FUNCTION_OF_ACTION: return (void *)(uintptr_t)an_action;
    case NUMBER: return (void *)(uintptr_t)1;
    case FLAGS: return NULL;
    default: return things;
    }
}

static void make_the_call(void *context)
{
    (void)context;
    ask.irql_before = kmdf_mock_current_irql();
    ask.answer = ask.call->call(ask.given);
    /* The one that has to be taken back on the spot. */
    if (strcmp(ask.call->name, "bottomhalf_local_bh_disable") == 0 &&
        kmdf_mock_current_irql() > ask.irql_before)
        bottomhalf_local_bh_enable();
    ask.irql_after = kmdf_mock_current_irql();
    ask.done = true;
}

static void call_at_level(void)
{
    KIRQL irql;

    switch (ask.level) {
    case PASSIVE:
        make_the_call(NULL);
        break;
    case DISPATCH:
        KeRaiseIrql(DISPATCH_LEVEL, &irql);
        make_the_call(NULL);
        KeLowerIrql(irql);
        break;
    default:
        kmdf_mock_interrupt(0, make_the_call, NULL);
        while (!ask.done)
            kmdf_mock_sleep_100ns(10000);
        break;
    }
}

static bool one_has_run;

static void run_one(struct work_struct *work)
{
    (void)work;
    one_has_run = true;
}

/* The library is as good as before: a work runs. */
static void still_works(void)
{
    struct work_struct *work = zeroes(WORK);

    INIT_WORK(work, run_one);
    one_has_run = false;
    KMDF_MOCK_ASSERT(schedule_work(work));
    flush_work(work);
    KMDF_MOCK_ASSERT(one_has_run);
    ExFreePool(work);
}

static void print_half(void)
{
    printf("%s|%s%s%s|%s|%s|", ask.call->name, ask.variant ? ask.call->names[ask.argument] : "",
           ask.variant ? " " : "", variant_names[ask.variant], phase_names[ask.phase],
           level_names[ask.level]);
    fflush(stdout);
}

static void print_answer(const char *codes)
{
    switch (ask.call->answer) {
    case 'b':
        printf("%s", ask.answer ? "true" : "false");
        break;
    case 'i':
        printf("%d", (int)ask.answer);
        break;
    case 'p':
        printf("%s", ask.answer ? "pointer" : "NULL");
        break;
    }
    printf("|%s\n", codes);
}

static void in_machine(WDFDRIVER driver, void *context)
{
    static char codes[1024];
    struct workqueue_struct *wq = system_wq;
    size_t before;
    int n;

    (void)context;
    things = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*things), TAG);
    tasklet_setup(&things->tasklet, a_tasklet);
    INIT_WORK(&things->work, a_work);
    INIT_DELAYED_WORK(&things->dwork, a_work);
    bottomhalf_config_init(&things->config, BOTTOMHALF_NON_REENTRANT);
    if (ask.phase != BEFORE)
        KMDF_MOCK_ASSERT(NT_SUCCESS(bottomhalf_attach_driver(driver, &things->config, &things->own)));
    if (ask.phase == ATTACHED)
        wq = alloc_workqueue("the queue", 0, 0);
    if (ask.phase == AFTER)
        bottomhalf_detach(&things->own);
    for (n = 0; n < ask.call->count; n++)
        ask.given[n] = good(ask.call->kinds[n], driver, kmdf_mock_add_device(), wq);
    if (ask.variant)
        ask.given[ask.argument] = ask.variant == ZEROED ? zeroes(ask.call->kinds[ask.argument]) : NULL;

    before = kmdf_mock_reports(NULL, 0);
    print_half();
    call_at_level();
    if (ask.phase == ATTACHED && strcmp(ask.call->name, "bottomhalf_detach"))
        still_works();
    kmdf_mock_reports(codes, sizeof(codes));
    print_answer(codes + (before && codes[before] ? before + 1 : before));
    KMDF_MOCK_ASSERT(ask.irql_before == ask.irql_after);
    kmdf_mock_settle();
    cancel_delayed_work_sync(&things->dwork);
    if (attaches() && NT_SUCCESS((NTSTATUS)ask.answer))
        bottomhalf_detach(ask.given[2]);
    if (things->own.bottomhalf_opaque[0])
        bottomhalf_detach(&things->own);
    if (ask.variant == ZEROED)
        ExFreePool(ask.given[ask.argument]);
    ExFreePool(things);
}

/* Every phase and level for one call and what it is given. */
static int everywhere(const struct call *call, enum variant variant, int argument)
{
    int phase, level;

    for (phase = 0; phase < PHASES; phase++) {
        for (level = 0; level < LEVELS; level++) {
            struct kmdf_mock_machine machine = { .seed = 1, .verifier = KMDF_MOCK_VERIFIER_STRICT };

            ask = (struct ask){ .call = call, .phase = (enum phase)phase, .level = (enum level)level,
                                .variant = variant, .argument = argument };
            if (kmdf_mock_run(&machine, in_machine, NULL))
                return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    size_t at;
    int n;

    for (at = 0; at < number_of_calls; at++) {
        const struct call *call = &calls[at];

        if (argc > 1 && strcmp(argv[1], call->name))
            continue;
        if (everywhere(call, GOOD, 0))
            return 1;
        for (n = 0; n < call->count; n++) {
            if (call->kinds[n] < NUMBER && everywhere(call, NULLED, n))
                return 1;
            if (call->kinds[n] <= NAME && call->kinds[n] != WQ && everywhere(call, ZEROED, n))
                return 1;
        }
    }
    return 0;
}
