/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What a driver image does beside Linux's calls: attach to KMDF before the first of them, detach after the
 * last.
 *
 *     static struct bottomhalf_attachment attachment;
 *     struct bottomhalf_config config;
 *
 *     bottomhalf_config_init(&config, BOTTOMHALF_NON_REENTRANT);
 *     status = bottomhalf_attach_driver(driver, &config, &attachment);
 *
 * shim-api.md is the contract. A build may define, before any of our headers and alike for all files:
 *
 *     BOTTOMHALF_HZ                  HZ, if it is not 250; the library is built with the same
 *     BOTTOMHALF_OWN_TYPES           see bottomhalf/types.h
 *     BOTTOMHALF_OWN_DEVM            see linux/devm-helpers.h
 *     BOTTOMHALF_ALLOW_POINTER_CUTS  leaves it to the compiler's options whether a pointer may be cut
 */
#ifndef BOTTOMHALF_H
#define BOTTOMHALF_H

#if !defined(_NTDDK_) && !defined(_WDMDDK_)
#include <ntddk.h>
#endif
#include <wdf.h>

#include <bottomhalf/items.h>
#include <linux/jiffies.h>

#ifndef KMDF_VERSION_MINOR
#error "bottomhalf: KMDF_VERSION_MINOR is not defined: the WDK's build does it, and wdf.h of a host build"
#endif

BOTTOMHALF_BEGIN

/* Whether a work may run in parallel with itself. There is no default. */
enum {
    /* Never two instances of one work and function at once: Linux since 3.7, for drivers since 2012. */
    BOTTOMHALF_NON_REENTRANT = 1,
    /* A work that is queued while it runs may overlap itself, up to max_active: Linux before 3.7. */
    BOTTOMHALF_SELF_REENTRANT = 2
};

/*
 * The code of the bug check that a panic of the library is: its own invariants, or memory, are lost. The
 * parameters are the address and the length of the name of the source file, the line and the column.
 */
#define BOTTOMHALF_BUG_CHECK_PANIC 0x42480001

/* How to attach. bottomhalf_config_init() fills it; the first attach of an image decides. */
struct bottomhalf_config {
    uint32_t size;
    uint32_t hz;
    uint32_t kmdf_minor;
    uint32_t reentrance;
    /* Not zero: every work of a bound workqueue runs on the CPU that it was queued on, as in Linux. */
    uint8_t pin_bound;
    /* Not zero: delays do not wait for NT's tick. It costs power. */
    uint8_t high_resolution;
    uint8_t reserved[2];
};

/* An attach. The driver's memory, zeroed or not, which stays in place until the detach. */
struct bottomhalf_attachment {
    uint64_t bottomhalf_opaque[4];
};

/* Counts since the attach. accepted is run, cancelled and pending together, always. */
struct bottomhalf_counters {
    uint64_t accepted;
    uint64_t run;
    uint64_t cancelled;
    uint64_t pending;
    uint64_t dpc_callbacks;
    uint64_t overflows;
    uint64_t work_item_callbacks;
    uint64_t timer_callbacks;
    uint64_t rescues;
};

BOTTOMHALF_SIZE(bottomhalf_config, 20);
BOTTOMHALF_SIZE(bottomhalf_attachment, 32);
BOTTOMHALF_SIZE(bottomhalf_counters, 72);

/* bottomhalf_is_built_for_kmdf_1_33, if KMDF_VERSION_MINOR is 33. A library for another KMDF lacks it. */
#define BOTTOMHALF_PASTE_(a, b) a##b
#define BOTTOMHALF_PASTE(a, b) BOTTOMHALF_PASTE_(a, b)
#define BOTTOMHALF_IS_BUILT_FOR BOTTOMHALF_PASTE(bottomhalf_is_built_for_kmdf_1_, KMDF_VERSION_MINOR)
void BOTTOMHALF_IS_BUILT_FOR(void);

/*
 * Fills @config with the rule for works, and with what tells the library how the driver was compiled. A
 * driver that is compiled for another KMDF than the library does not link.
 *
 * IRQL: any. Does not block.
 */
BOTTOMHALF_IRQL_ANY
static inline void bottomhalf_config_init(struct bottomhalf_config *config, unsigned int reentrance)
{
    struct bottomhalf_config made = {
        sizeof(struct bottomhalf_config), HZ, KMDF_VERSION_MINOR, reentrance, 0, 0, { 0, 0 }
    };

    BOTTOMHALF_IS_BUILT_FOR();
    *config = made;
}

/*
 * Makes everything that deferred work needs, on a control device of its own, or counts one more user of it.
 * No device's removal takes it from the others.
 *
 * STATUS_REVISION_MISMATCH: the driver was compiled for another library, which is said.
 * STATUS_INVALID_PARAMETER: a handle or pointer is NULL, or there is no such rule.
 * STATUS_INVALID_DEVICE_REQUEST: above APC_LEVEL, attached elsewhere or with another rule, or @attachment is
 * attached. Otherwise what KMDF says.
 *
 * IRQL: = PASSIVE. Blocks for another attach or detach.
 */
BOTTOMHALF_IRQL_PASSIVE BOTTOMHALF_MUST_CHECK
NTSTATUS bottomhalf_attach_driver(WDFDRIVER driver, const struct bottomhalf_config *config,
                                  struct bottomhalf_attachment *attachment);

/*
 * bottomhalf_attach_driver() on a device: for images that cannot own a control device. A second attach names
 * the same.
 *
 * IRQL: = PASSIVE. Blocks for another attach or detach.
 */
BOTTOMHALF_IRQL_PASSIVE BOTTOMHALF_MUST_CHECK
NTSTATUS bottomhalf_attach_device(WDFDEVICE device, const struct bottomhalf_config *config,
                                  struct bottomhalf_attachment *attachment);

/*
 * Ends an attach. The last one refuses all queueing and runs what is pending; nothing of ours runs after it
 * returns. What was left over is reported (BH10, BH11, BH13). One that is not attached is refused, and said.
 *
 * IRQL: = PASSIVE. Blocks.
 */
BOTTOMHALF_IRQL_PASSIVE
void bottomhalf_detach(struct bottomhalf_attachment *attachment);

/*
 * For EvtDeviceSelfManagedIoSuspend: WQ_FREEZABLE queues take works and start none. Returns when what runs on
 * them has ended.
 *
 * IRQL: = PASSIVE. Blocks.
 */
BOTTOMHALF_IRQL_PASSIVE
void bottomhalf_freeze(struct bottomhalf_attachment *attachment);

/*
 * For EvtDeviceSelfManagedIoRestart: takes one freeze back. One too many is reported (BH30).
 *
 * IRQL: <= DISPATCH. Does not block.
 */
BOTTOMHALF_IRQL_DISPATCH
void bottomhalf_thaw(struct bottomhalf_attachment *attachment);

/*
 * The counts; all zero while nothing is attached.
 *
 * IRQL: <= APC. Does not block.
 */
BOTTOMHALF_IRQL_APC
void bottomhalf_get_counters(struct bottomhalf_counters *counters);

BOTTOMHALF_END

#endif
