// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The rig of the test programs; kit.h says what it does.
 */
#include "kit.h"

#include <stdlib.h>

bool planted;
bool non_reentrant;
WDFDRIVER the_driver;

/* What a run leaves for `main`. */
struct run {
    const struct scenario *scenario;
    bool attached;
};

static size_t reports_before;

void check_same(const char *what, unsigned long long found, unsigned long long wanted)
{
    char text[200];

    snprintf(text, sizeof(text), "%s: %llu, but %llu is right", what, found, wanted);
    kmdf_mock_assert(found == wanted, text);
}

void gate_init(struct gate *gate)
{
    KeInitializeEvent(&gate->event, NotificationEvent, FALSE);
}

void gate_open(struct gate *gate)
{
    KeSetEvent(&gate->event, 0, FALSE);
}

void gate_wait(struct gate *gate)
{
    KeWaitForSingleObject(&gate->event, Executive, KernelMode, FALSE, NULL);
}

void *allocate(size_t size)
{
    void *memory = ExAllocatePool2(POOL_FLAG_NON_PAGED, size, TAG);

    kmdf_mock_assert(memory != NULL, "there is memory");
    return memory;
}

void release(void *memory)
{
    ExFreePoolWithTag(memory, TAG);
}

void sleep_jiffies(unsigned int jiffies_)
{
    kmdf_mock_sleep_100ns(jiffies_ * JIFFY_100NS);
}

void give_way(uint32_t most)
{
    uint32_t points = kmdf_mock_choose(most);

    while (points--)
        kmdf_mock_pause();
}

struct item *item_new(struct gate *gate)
{
    struct item *item = allocate(sizeof(*item));

    INIT_DELAYED_WORK(&item->dwork, item_run);
    item->gate = gate;
    return item;
}

void item_free(struct item *item)
{
    release(item);
}

void item_run(struct work_struct *work)
{
    struct item *item = container_of(work, struct item, dwork.work);

    item->runs++;
    if (++item->inside > item->most_inside)
        item->most_inside = item->inside;
    if (item->gate)
        gate_wait(item->gate);
    item->inside--;
}

const char *fresh_reports(void)
{
    static char codes[4096];
    size_t length = kmdf_mock_reports(codes, sizeof(codes));
    size_t before = reports_before;

    kmdf_mock_assert(length < sizeof(codes), "the codes have room");
    reports_before = length;
    if (length == before)
        return "";
    return codes + (before ? before + 1 : 0);
}

/* Every code of `codes` is in `among`. */
static bool all_among(const char *codes, const char *among)
{
    char code[5] = "";

    for (; strlen(codes) >= 4; codes += codes[4] ? 5 : 4) {
        memcpy(code, codes, 4);
        if (!strstr(among, code))
            return false;
    }
    return true;
}

static void check_reports(const char *wanted)
{
    static char codes[4096];
    char text[4200];

    kmdf_mock_reports(codes, sizeof(codes));
    snprintf(text, sizeof(text), "reported: \"%s\", but \"%s\" is right", codes, wanted);
    kmdf_mock_assert(all_among(codes, wanted) && all_among(wanted, codes), text);
}

static void check_counters(bool may_leave)
{
    struct bottomhalf_counters counts;

    bottomhalf_get_counters(&counts);
    check_same("accepted", counts.accepted, counts.run + counts.cancelled + counts.pending);
    if (!may_leave)
        check_same("left pending", counts.pending, 0);
}

static void in_machine(WDFDRIVER driver, void *context)
{
    struct run *run = context;
    const char *wanted = run->scenario->reports ? run->scenario->reports : "";
    struct bottomhalf_attachment attachment = { 0 };
    struct bottomhalf_config config;

    the_driver = driver;
    reports_before = 0;
    bottomhalf_config_init(&config, non_reentrant ? BOTTOMHALF_NON_REENTRANT : BOTTOMHALF_SELF_REENTRANT);
    config.pin_bound = kmdf_mock_seed() % 2 == 1;
    if (!NT_SUCCESS(bottomhalf_attach_driver(driver, &config, &attachment))) {
        kmdf_mock_assert(run->scenario->without_memory, "a fresh machine has the resources");
        return;
    }
    run->attached = true;
    run->scenario->run();
    kmdf_mock_settle();
    check_counters(run->scenario->may_leave);
    bottomhalf_detach(&attachment);
    check_reports(wanted);
}

static struct kmdf_mock_machine machine_of(uint64_t seed)
{
    static const uint32_t preemption[] = { KMDF_MOCK_PREEMPT_ALWAYS, KMDF_MOCK_PREEMPT_OFTEN,
                                           KMDF_MOCK_PREEMPT_SELDOM };
    struct kmdf_mock_machine machine = {
        .seed = seed,
        .cpus = 4,
        .tick_100ns = JIFFY_100NS,
        .workers = seed % 4 < 2 ? 16 : 1,
        .preemption = preemption[seed % 3],
    };

    return machine;
}

/* As in_machine, with the first failing allocation later and later until the attach succeeds, and beyond. */
static int without_memory(const struct scenario *scenario, uint64_t seed)
{
    unsigned int good = 0, nth;

    for (nth = 1; nth < 300 && !good; nth++) {
        struct kmdf_mock_machine machine = machine_of(seed);
        struct run run = { scenario, false };
        int failed;

        machine.fail_allocation = nth;
        failed = kmdf_mock_run(&machine, in_machine, &run);
        if (failed && run.attached)
            return 1;
        good += run.attached;
    }
    if (!good)
        printf("no attach ever succeeds\n");
    return !good;
}

static int run_seed(const struct scenario *scenario, uint64_t seed)
{
    struct kmdf_mock_machine machine = machine_of(seed);
    struct run run = { scenario, false };

    if (scenario->roomy)
        machine.workers = 16;
    if (scenario->without_memory)
        return without_memory(scenario, seed);
    return kmdf_mock_run(&machine, in_machine, &run);
}

int main(int argc, char **argv)
{
    const char *replay = getenv("KMDF_MOCK_SEED");
    const struct scenario *scenario = scenarios;
    uint64_t seed, first, seeds;

    if (argc < 4) {
        printf("usage: %s NAME FIRST SEEDS [plant]\n", argv[0]);
        return 2;
    }
    while (scenario->name && strcmp(scenario->name, argv[1]))
        scenario++;
    if (!scenario->name) {
        printf("there is no scenario %s\n", argv[1]);
        return 2;
    }
    first = strtoull(replay ? replay : argv[2], NULL, 10);
    seeds = replay ? 1 : strtoull(argv[3], NULL, 10);
    planted = argc > 4;
    for (seed = first; seed < first + seeds; seed++) {
        for (non_reentrant = false;; non_reentrant = true) {
            if (run_seed(scenario, seed)) {
                printf("%s fails, %s\n", argv[1], non_reentrant ? "NonReentrant" : "SelfReentrant");
                return 1;
            }
            if (non_reentrant)
                break;
        }
    }
    printf("%s: %llu seeds\n", argv[1], (unsigned long long)seeds);
    return 0;
}
