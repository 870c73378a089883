/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Writes what the checks have found, without a C runtime. */
#include "check.h"

void report_begin(struct report *report)
{
    report->text[0] = '\0';
    report->length = report->passed = report->failed = 0;
}

/* What does not fit is left out. */
static void append(struct report *report, const char *text)
{
    while (*text && report->length < sizeof(report->text) - 1)
        report->text[report->length++] = *text++;
    report->text[report->length] = '\0';
}

static void append_number(struct report *report, unsigned int number)
{
    char digits[11];
    int place = 10;

    digits[place] = '\0';
    do {
        digits[--place] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    append(report, &digits[place]);
}

void report_check(struct report *report, const char *name, const char *otherwise)
{
    append(report, otherwise ? "FAIL " : "PASS ");
    append(report, name);
    if (otherwise) {
        report->failed++;
        append(report, " ");
        append(report, otherwise);
    } else {
        report->passed++;
    }
    append(report, "\n");
}

void report_sum(struct report *report)
{
    append_number(report, report->passed);
    append(report, " passed, ");
    append_number(report, report->failed);
    append(report, " failed\n");
}
