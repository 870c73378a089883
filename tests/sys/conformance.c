// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * What the conformance scenarios have around them in a .sys: attaches as the runner on the host does, runs
 * the scenarios whose ids the loader hands over, and says what they answered and left behind.
 */
#include <bottomhalf.h>
#include <compat.h>

#include "../conformance/kit.h"

/* kmdf_mock.sys, which the loader alone has. */
size_t kmdf_mock_argument(char *buffer, size_t size);
size_t kmdf_mock_log(char *buffer, size_t size);
void kmdf_mock_answer(const char *line);
void kmdf_mock_settle(void);

NTSTATUS conformance_main(WDFDRIVER driver);
unsigned int compat_warnings(void);

void conformance_emit(const char *line)
{
    kmdf_mock_answer(line);
}

/* How many lines of the debugger's log are diagnostics of bottomhalf. */
static unsigned int diagnosed(const char *log)
{
    unsigned int count = 0;

    while (log) {
        count += strncmp(log, "bottomhalf ", 11) == 0;
        log = strchr(log, '\n');
        if (log)
            log++;
    }
    return count;
}

unsigned int conformance_diagnostics(void)
{
    static char log[1 << 16];

    if (kmdf_mock_log(log, sizeof(log)) >= sizeof(log))
        kit_hang("room for the log");
    return diagnosed(log) + compat_warnings();
}

/* The line behind the answers; the runner reads it. */
static void account(int ran, unsigned long long pending, unsigned int blocks)
{
    char line[96];

    snprintf(line, sizeof(line), "# ran=%d pending=%llu blocks=%u", ran, pending, blocks);
    kmdf_mock_answer(line);
}

NTSTATUS conformance_main(WDFDRIVER driver)
{
    static struct bottomhalf_attachment attachment;
    struct bottomhalf_counters counters;
    struct bottomhalf_config config;
    NTSTATUS status;
    char only[64];
    int ran;

    if (kmdf_mock_argument(only, sizeof(only)) >= sizeof(only))
        return STATUS_INVALID_PARAMETER;
    bottomhalf_config_init(&config, BOTTOMHALF_NON_REENTRANT);
    config.pin_bound = 1;
    status = bottomhalf_attach_driver(driver, &config, &attachment);
    if (!NT_SUCCESS(status))
        return status;
    if (compat_init() != 0)
        return STATUS_INSUFFICIENT_RESOURCES;
    ran = conformance_run(NULL, only);
    kmdf_mock_settle();
    bottomhalf_get_counters(&counters);
    account(ran, counters.pending, compat_exit());
    bottomhalf_detach(&attachment);
    return STATUS_SUCCESS;
}
