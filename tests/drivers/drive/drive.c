/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * main() of the programs of this folder. A seed is a process of its own, because the statics of a driver are
 * those of one load of its image. It attaches, calls the program's body, detaches, and checks what must hold
 * of every driver.
 *
 *     PROGRAM --engine sim --seeds 200       seeds 0 to 199
 *     PROGRAM --engine sim --seed 17         that one
 *     PROGRAM --engine live                  once, on OS threads
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bottomhalf.h>
#include <kmdf_mock.h>

#include <compat.h>

#include "drive.h"

#define MAX_EFFECTS 128
/* Seconds after which a seed hangs. */
#define SIM_LIMIT 120
#define LIVE_LIMIT 300

/* Shared with the processes of the seeds. */
struct tally {
    unsigned int effects;
    /* The texts are those of this binary, so that their addresses stay the same. */
    const char *texts[MAX_EFFECTS];
    unsigned long seeds[MAX_EFFECTS];
    unsigned long checks;
};
static struct tally *tally;
/* Which of them this process has come to. */
static bool reached[MAX_EFFECTS];
static char lock;

static struct kmdf_mock_machine machine;
static u64 random_state;
static struct bottomhalf_attachment attachment;

void drive_effect(bool held, const char *text, const char *file, int line)
{
    char message[256];
    unsigned int i;

    while (__atomic_test_and_set(&lock, __ATOMIC_ACQUIRE))
        ;
    tally->checks++;
    for (i = 0; i < tally->effects && strcmp(tally->texts[i], text) != 0; i++)
        ;
    if (i == tally->effects && i < MAX_EFFECTS) {
        tally->texts[i] = text;
        tally->effects++;
    }
    if (i < MAX_EFFECTS && !reached[i]) {
        reached[i] = true;
        tally->seeds[i]++;
    }
    __atomic_clear(&lock, __ATOMIC_RELEASE);
    if (!held) {
        snprintf(message, sizeof(message), "%s (%s:%d)", text, file, line);
        kmdf_mock_assert(false, message);
    }
}

bool drive_is_live(void)
{
    return machine.engine == KMDF_MOCK_LIVE;
}

/* Splitmix; the state is shared by threads, which the engine runs in an order that the seed decides. */
unsigned int drive_choose(unsigned int n)
{
    u64 z = __atomic_add_fetch(&random_state, 0x9e3779b97f4a7c15u, __ATOMIC_SEQ_CST);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (unsigned int)((z ^ (z >> 31)) % n);
}

struct drive_thread *drive_spawn(const char *name, int cpu, drive_fn fn, void *context)
{
    return (struct drive_thread *)kmdf_mock_spawn(name, cpu, fn, context);
}

void drive_join(struct drive_thread *thread)
{
    kmdf_mock_join((struct kmdf_mock_thread *)thread);
}

struct interrupt {
    drive_fn fn;
    void *context;
    long over;
};

static void interrupt(void *context)
{
    struct interrupt *interrupt = (struct interrupt *)context;

    interrupt->fn(interrupt->context);
    drive_set(&interrupt->over, 1);
}

void drive_interrupt(int cpu, drive_fn fn, void *context)
{
    struct interrupt call = {.fn = fn, .context = context, .over = 0};

    kmdf_mock_interrupt((unsigned int)cpu, interrupt, &call);
    while (!drive_get(&call.over))
        kmdf_mock_burn_100ns(10);
}

void drive_settle(void)
{
    kmdf_mock_settle();
}

void drive_sleep(unsigned long count)
{
    kmdf_mock_sleep_100ns((u64)count * (10000000 / HZ));
}

void drive_burn(unsigned int microseconds)
{
    kmdf_mock_burn_100ns((u64)microseconds * 10);
}

unsigned int drive_irql(void)
{
    return kmdf_mock_current_irql();
}

int drive_cpu(void)
{
    return (int)kmdf_mock_current_cpu();
}

u64 drive_now_100ns(void)
{
    return kmdf_mock_now_100ns();
}

void drive_freeze(void)
{
    bottomhalf_freeze(&attachment);
}

void drive_thaw(void)
{
    bottomhalf_thaw(&attachment);
}

long drive_printed(const char *text)
{
    size_t size = kmdf_mock_log(NULL, 0) + 1024;
    char *log = (char *)malloc(size);
    char *line, *next = NULL;
    long count = 0;

    if (!log)
        return -1;
    kmdf_mock_log(log, size);
    for (line = strtok_r(log, "\n", &next); line; line = strtok_r(NULL, "\n", &next))
        count += strstr(line, text) != NULL;
    free(log);
    return count;
}

/* Every diagnostic that was printed must be one that the scenario is about. */
static void check_reports(void)
{
    static char reports[4096];
    char *next = NULL;
    char *code;

    kmdf_mock_reports(reports, sizeof(reports));
    for (code = strtok_r(reports, " ", &next); code; code = strtok_r(NULL, " ", &next)) {
        const char *allowed = drive_program.allowed_reports;

        if (!allowed || !strstr(allowed, code)) {
            printf("unexpected diagnostic: %s\n", code);
            kmdf_mock_assert(false, "a diagnostic is printed");
        }
    }
}

static void attached(WDFDRIVER driver, void *context)
{
    struct bottomhalf_config config;
    struct bottomhalf_counters counters;

    (void)context;
    bottomhalf_config_init(&config, BOTTOMHALF_NON_REENTRANT);
    config.pin_bound = machine.seed % 2 == 1;
    kmdf_mock_assert(compat_init() == 0, "there is an environment");
    kmdf_mock_assert(bottomhalf_attach_driver(driver, &config, &attachment) == 0, "the driver is attached");
    drive_program.body();
    drive_settle();
    bottomhalf_get_counters(&counters);
    kmdf_mock_assert(counters.pending == 0, "nothing is left pending");
    kmdf_mock_assert(counters.accepted == counters.run + counters.cancelled,
                     "what was accepted has run or was cancelled");
    bottomhalf_detach(&attachment);
    kmdf_mock_assert(compat_exit() == 0, "every allocation is freed");
    check_reports();
}

/* The seed also picks the machine: how many workers NT has, and how often a thread is preempted. */
static void make_machine(u64 seed)
{
    static const unsigned int preemption[] = {KMDF_MOCK_PREEMPT_OFTEN, KMDF_MOCK_PREEMPT_SELDOM,
                                              KMDF_MOCK_PREEMPT_ALWAYS};

    machine.seed = seed;
    machine.workers = seed % 5 == 4 ? 0 : 16;
    machine.preemption = preemption[seed % 3];
    random_state = seed;
}

static int run_seed(u64 seed)
{
    int status;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        make_machine(seed);
        alarm(drive_is_live() ? LIVE_LIMIT : SIM_LIMIT);
        exit(kmdf_mock_run(&machine, attached, NULL) ? 1 : 0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 1;
    if (WIFSIGNALED(status))
        printf("%s: ended by signal %d\n", drive_program.name, WTERMSIG(status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int usage(void)
{
    fprintf(stderr, "usage: %s --engine sim|live [--seeds COUNT | --seed NUMBER]\n", drive_program.name);
    return 2;
}

int main(int argc, char **argv)
{
    u64 first = 0, count = 1, seed;
    unsigned int i, always = 0;
    int at;

    machine.engine = KMDF_MOCK_SIM;
    machine.cpus = 4;
    machine.tick_100ns = 10000000 / HZ;
    for (at = 1; at + 1 < argc; at += 2) {
        if (strcmp(argv[at], "--engine") == 0)
            machine.engine = strcmp(argv[at + 1], "live") == 0 ? KMDF_MOCK_LIVE : KMDF_MOCK_SIM;
        else if (strcmp(argv[at], "--seeds") == 0)
            count = strtoull(argv[at + 1], NULL, 10);
        else if (strcmp(argv[at], "--seed") == 0)
            first = strtoull(argv[at + 1], NULL, 10);
        else
            return usage();
    }
    if (at != argc || count == 0)
        return usage();
    /* The replay line of a failure sets it; it wins over the command line. */
    if (getenv("KMDF_MOCK_SEED")) {
        first = strtoull(getenv("KMDF_MOCK_SEED"), NULL, 10);
        count = 1;
    }
    tally =
        (struct tally *)mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED)
        return 1;
    for (seed = first; seed < first + count; seed++) {
        if (run_seed(seed) != 0) {
            printf("%s failed; replay: %s --engine %s --seed %llu\n", drive_program.name, argv[0],
                   drive_is_live() ? "live" : "sim", (unsigned long long)seed);
            return 1;
        }
    }
    /* An effect counts if every seed has come to it. */
    for (i = 0; i < tally->effects; i++)
        always += tally->seeds[i] == count;
    printf("%s engine=%s seeds=%llu effects=%u checks=%lu\n", drive_program.name,
           drive_is_live() ? "live" : "sim", (unsigned long long)count, always, tally->checks);
    return 0;
}
