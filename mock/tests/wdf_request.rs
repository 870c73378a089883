//! Requests: buffers, completion, and what a driver does wrong with them; the names of devices.

#![allow(missing_docs, reason = "tests")]

mod wdf_common;
mod wdf_io;

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use kmdf_mock::world::{self, Driver, IoStatus, Live, Sim, Verifier};
use kmdf_mock::*;
use wdf_common::*;
use wdf_io::*;

const PARALLEL: i32 = _WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchParallel;

/// A driver whose one device runs `f`, and one IOCTL to it.
fn one_ioctl(
    code: u32,
    input: &[u8],
    room: usize,
    f: impl Fn(Call) + Send + Sync + 'static,
) -> IoStatus {
    let driver = Driver::load_non_pnp();
    open_device(&driver, PARALLEL, u32::MAX, None, f);
    let answer = world::ioctl(LINK, code, input, room);
    driver.unload();
    answer
}

fn echo_backwards(call: Call) {
    let mut bytes = call.input(3).unwrap();
    sim_assert_eq!(bytes.len(), call.input_length);
    bytes.reverse();
    call.write(&bytes).unwrap();
    call.complete(STATUS_SUCCESS, bytes.len() as u64);
}

fn sends_and_receives() {
    for method in [METHOD_BUFFERED, METHOD_IN_DIRECT, METHOD_OUT_DIRECT] {
        let answer = one_ioctl(code(method), &[1, 2, 3], 8, echo_backwards);
        sim_assert_eq!(answer.status, STATUS_SUCCESS);
        sim_assert_eq!(answer.information, 3);
        sim_assert_eq!(answer.output, [3, 2, 1]);
    }
}

/// IO-7, IO-13, IO-14: input comes in, output goes out, in every seed.
#[test]
fn an_ioctl_carries_bytes_both_ways() {
    for_seeds(sends_and_receives);
}

/// The same on the live engine, from four threads at once.
#[test]
fn an_ioctl_carries_bytes_both_ways_live() {
    Live::new()
        .cpus(2)
        .run(|| {
            sends_and_receives();
            let driver = Driver::load_non_pnp();
            open_device(&driver, PARALLEL, u32::MAX, None, echo_backwards);
            let done = counter();
            let senders = [0_u8, 1, 2, 3].map(|number| {
                let done = Arc::clone(&done);
                world::spawn("sender", None, move || {
                    for round in 0..50 {
                        let answer = world::ioctl(LINK, IOCTL, &[number, round, 9], 3);
                        sim_assert_eq!(answer.output, [9, round, number]);
                        done.fetch_add(1, SeqCst);
                    }
                })
            });
            for sender in senders {
                sender.join();
            }
            sim_assert_eq!(done.load(SeqCst), 200);
            driver.unload();
        })
        .unwrap();
}

/// IO-13: what the retrieving calls refuse.
#[test]
fn buffers_that_are_not_there_are_refused() {
    strict(1)
        .run(|| {
            let both = |call: Call, required| {
                let input = call.retrieve(required, true).err();
                (input, call.retrieve(required, false).err())
            };
            let ask = move |code, input: &[u8], room, required| {
                let seen = Arc::new(Mutex::new((None, None)));
                let write = Arc::clone(&seen);
                one_ioctl(code, input, room, move |call| {
                    *write.lock().unwrap() = both(call, required);
                    call.complete(STATUS_SUCCESS, 0);
                });
                *seen.lock().unwrap()
            };
            let small = Some(STATUS_BUFFER_TOO_SMALL);
            let refused = Some(STATUS_INVALID_DEVICE_REQUEST);
            sim_assert_eq!(ask(IOCTL, &[], 0, 0), (small, small), "of no length");
            sim_assert_eq!(ask(IOCTL, &[1], 1, 2), (small, small));
            sim_assert_eq!(ask(IOCTL, &[1], 2, 2), (small, None));
            sim_assert_eq!(ask(IOCTL, &[1, 2], 1, 2), (None, small));
            let neither = ask(code(METHOD_NEITHER), &[1], 1, 1);
            sim_assert_eq!(neither, (refused, refused));
        })
        .unwrap();
}

/// IO-14: input and output of METHOD_BUFFERED are one buffer, of the direct methods two; the part of the
/// buffer that the driver does not write is not zero.
#[test]
fn a_buffered_ioctl_has_one_buffer() {
    strict(1)
        .run(|| {
            for (method, one) in [(METHOD_BUFFERED, true), (METHOD_OUT_DIRECT, false)] {
                let answer = one_ioctl(code(method), &[7], 3, move |call| {
                    let (input, _) = call.retrieve(1, true).unwrap();
                    let (output, _) = call.retrieve(1, false).unwrap();
                    sim_assert_eq!(input == output, one);
                    call.complete(STATUS_SUCCESS, 3);
                });
                sim_assert!(answer.output[1..] != [0, 0]);
                sim_assert_eq!(answer.output[0] == 7, one, "input in the output");
            }
        })
        .unwrap();
}

/// IO-14, IO-17: a warning gives its output, an error none, and a status of WDF's own is turned into NT's.
#[test]
fn the_status_decides_what_the_caller_gets() {
    strict(1)
        .run(|| {
            let answer = |status: u32| {
                one_ioctl(IOCTL, &[1, 2], 2, move |call| {
                    call.complete(status.cast_signed(), 2);
                })
            };
            sim_assert_eq!(answer(0).output, [1, 2]);
            sim_assert_eq!(answer(0x8000_0005).output, [1, 2], "STATUS_BUFFER_OVERFLOW");
            let error = answer(0xC000_0001);
            sim_assert_eq!(error.status, STATUS_UNSUCCESSFUL);
            sim_assert!(error.output.is_empty());
            let converted = [
                (0xC020_0203, 0x8000_0011_u32),
                (0xC020_0201, 0xC000_00E5),
                (0xC020_020C, 0xC000_0010),
            ];
            for (from, to) in converted {
                sim_assert_eq!(answer(from).status, to.cast_signed());
            }
        })
        .unwrap();
}

/// `WdfRequestSetInformation` is what `WdfRequestComplete` completes with; without it that is nothing.
#[test]
fn complete_takes_the_information_that_was_set() {
    strict(1)
        .run(|| {
            let plain = one_ioctl(IOCTL, &[1, 2], 2, |call| call.complete_plain(0));
            sim_assert_eq!(plain.information, 0);
            let set = one_ioctl(IOCTL, &[1, 2], 2, |call| {
                // SAFETY: the request is the driver's.
                unsafe {
                    call_unsafe_wdf_function_binding!(WdfRequestSetInformation, call.raw(), 1);
                }
                call.complete_plain(0);
            });
            sim_assert_eq!(set.output, [1]);
        })
        .unwrap();
}

/// IO-16: more information than the buffer has: the framework's bug check when it is verified, and
/// without it a copy past the end of the caller's buffer.
#[test]
fn more_information_than_room_is_convicted() {
    for (verifier, code) in [
        (Verifier::Strict, "WDF_VIOLATION(0x10D,6)"),
        (Verifier::On, "WDF_VIOLATION(0x10D,6)"),
        (Verifier::Off, "SIM_BUFFER_OVERRUN(WDFREQUEST#1)"),
    ] {
        let result = Sim::new(1)
            .verifier(verifier)
            .run(|| one_ioctl(IOCTL, &[0; 4], 4, |call| call.complete(STATUS_SUCCESS, 5)));
        assert_eq!(code_of(result), code);
    }
    // An error may carry any number.
    strict(1)
        .run(|| {
            one_ioctl(IOCTL, &[0; 4], 4, |call| {
                call.complete(STATUS_UNSUCCESSFUL, 5)
            })
        })
        .unwrap();
}

/// IO-15: a second completion inside the callback is a break when the framework is verified, and is
/// ignored; without it, and after the callback, the handle is dead.
#[test]
fn completing_twice_is_convicted() {
    let twice = |call: Call| {
        call.complete(STATUS_SUCCESS, 0);
        call.complete(STATUS_UNSUCCESSFUL, 0);
    };
    let status = strict(1).run(move || {
        let answer = one_ioctl(IOCTL, &[], 0, twice);
        sim_assert_eq!(breaks("REQUEST_NOT_DRIVER_OWNED"), 1);
        answer.status
    });
    assert_eq!(status.unwrap(), STATUS_SUCCESS, "the first one counts");
    let result = Sim::new(1)
        .verifier(Verifier::Off)
        .run(move || one_ioctl(IOCTL, &[], 0, twice));
    assert_eq!(code_of(result), "WDF_VIOLATION(0x10D,5)");
    let result = strict(1).run(|| {
        let kept: Arc<Mutex<Option<Call>>> = Arc::default();
        let keep = Arc::clone(&kept);
        one_ioctl(IOCTL, &[], 0, move |call| {
            *keep.lock().unwrap() = Some(call);
            call.complete(STATUS_SUCCESS, 0);
        });
        kept.lock().unwrap().unwrap().complete(STATUS_SUCCESS, 0);
    });
    let failure = result.unwrap_err();
    assert_eq!(failure.code(), "WDF_VIOLATION(0x10D,5)");
    assert!(failure.to_string().contains("WDFREQUEST#1"), "{failure}");
}

/// IO-15: a driver that keeps a reference to the request keeps its memory, not its IRP.
#[test]
fn a_reference_does_not_keep_the_irp() {
    let held = |call: Call| {
        General(call.request).reference();
        call.complete(STATUS_SUCCESS, 0);
        call.complete(STATUS_SUCCESS, 0);
        General(call.request).dereference();
    };
    strict(1)
        .run(move || {
            one_ioctl(IOCTL, &[], 0, held);
            sim_assert_eq!(breaks("REQUEST_NOT_DRIVER_OWNED"), 1);
        })
        .unwrap();
    let result = Sim::new(1)
        .verifier(Verifier::Off)
        .run(move || one_ioctl(IOCTL, &[], 0, held));
    assert_eq!(code_of(result), "SYSTEM_SERVICE_EXCEPTION(0x3B)");
}

/// IO-15: touching a completed request, by its handle and by its buffer.
#[test]
fn touching_a_completed_request_is_convicted() {
    let touch = |call: Call| {
        let (buffer, _) = call.retrieve(1, true).unwrap();
        call.complete(STATUS_SUCCESS, 0);
        sim_assert!(
            world::pool::is_freed(buffer as *const u8),
            "the buffer went"
        );
        let status = call.retrieve(1, true).err();
        sim_assert_eq!(status, Some(STATUS_INTERNAL_ERROR));
    };
    strict(1)
        .run(move || {
            one_ioctl(IOCTL, &[1], 0, touch);
            sim_assert_eq!(breaks("REQUEST_COMPLETED"), 1);
        })
        .unwrap();
    let result = Sim::new(1)
        .verifier(Verifier::Off)
        .run(move || one_ioctl(IOCTL, &[1], 0, touch));
    assert_eq!(code_of(result), "WDF_VIOLATION(0x10D,5)");
}

/// O-9: other handles than requests, and a NULL where the result goes.
#[test]
fn bad_arguments_are_bug_checks() {
    let result = strict(1).run(|| {
        one_ioctl(IOCTL, &[], 0, |_call| {
            let bogus = Call {
                request: 8,
                output_length: 0,
                input_length: 0,
                code: 0,
            };
            bogus.complete(STATUS_SUCCESS, 0);
        })
    });
    assert_eq!(code_of(result), "WDF_VIOLATION(0x10D,5)");
    let result = strict(1).run(|| {
        one_ioctl(IOCTL, &[], 0, |call| {
            let none = std::ptr::null_mut();
            // SAFETY: a NULL is a bug check.
            let _ = unsafe {
                call_unsafe_wdf_function_binding!(
                    WdfRequestRetrieveInputBuffer,
                    call.raw(),
                    0,
                    none,
                    std::ptr::null_mut()
                )
            };
        })
    });
    assert_eq!(code_of(result), "WDF_VIOLATION(0x10D,4)");
}

/// IO-6, IO-7: before the making is finished nobody opens the device; without a queue it refuses requests;
/// without a callback for IOCTLs the queue does.
#[test]
fn who_refuses_an_ioctl() {
    strict(1)
        .run(|| {
            let driver = Driver::load_non_pnp();
            let device = named_device(&driver, r"\Device\Mock");
            let status = move || world::ioctl(device.raw(), IOCTL, &[], 0).status;
            sim_assert_eq!(status(), STATUS_NO_SUCH_DEVICE);
            finish_initializing(device);
            sim_assert_eq!(status(), STATUS_INVALID_DEVICE_REQUEST);
            driver.unload();
            sim_assert_eq!(status(), STATUS_NO_SUCH_DEVICE);
            let driver = Driver::load_non_pnp();
            let reader = named_device(&driver, r"\Device\Mock");
            let mut config = queue_config(PARALLEL, None);
            config.EvtIoRead = Some(never_read);
            try_queue(reader, &mut config, None).unwrap();
            finish_initializing(reader);
            let status = world::ioctl(reader.raw(), IOCTL, &[], 0).status;
            sim_assert_eq!(status, STATUS_INVALID_DEVICE_REQUEST);
            driver.unload();
        })
        .unwrap();
}

unsafe extern "C" fn never_read(_: WDFQUEUE, _: WDFREQUEST, _: usize) {}

/// IO-6: a device that PnP made is no control device.
#[test]
fn finishing_a_pnp_device_is_a_break() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            finish_initializing(setup.device);
            sim_assert_eq!(breaks("NOT_CONTROL_DEVICE"), 1);
            setup.finish();
        })
        .unwrap();
}

/// IO-20, IO-22: names and links: one link per device, a control device needs a name, every name is there
/// once and is free again after the device.
#[test]
fn links_and_names() {
    strict(1)
        .run(|| {
            let driver = Driver::load_non_pnp();
            let nameless = Device(driver.control_device(None).unwrap() as usize);
            sim_assert_eq!(link(nameless, LINK), STATUS_INVALID_DEVICE_STATE);
            let first = named_device(&driver, r"\Device\Mock");
            sim_assert_eq!(link(first, ""), STATUS_INVALID_DEVICE_REQUEST);
            sim_assert_eq!(link(first, LINK), STATUS_SUCCESS);
            sim_assert_eq!(link(first, r"\??\Other"), STATUS_INVALID_DEVICE_REQUEST);
            let taken = try_named_device(&driver, r"\Device\MOCK", None).err();
            sim_assert_eq!(taken, Some(STATUS_OBJECT_NAME_COLLISION));
            let second = named_device(&driver, r"\Device\Mock2");
            sim_assert_eq!(link(second, r"\??\mocklink"), STATUS_OBJECT_NAME_COLLISION);
            finish_initializing(first);
            for name in [
                LINK,
                r"\??\MockLink",
                r"\\.\MOCKLINK",
                r"\DosDevices\Global\MockLink",
            ] {
                let status = world::ioctl(name, IOCTL, &[], 0).status;
                sim_assert_eq!(
                    status,
                    STATUS_INVALID_DEVICE_REQUEST,
                    "{name} is no queue away"
                );
            }
            first.delete();
            let status = world::ioctl(LINK, IOCTL, &[], 0).status;
            sim_assert_eq!(status, STATUS_OBJECT_NAME_NOT_FOUND);
            sim_assert_eq!(link(second, LINK), STATUS_SUCCESS, "free again");
            driver.unload();
        })
        .unwrap();
}

/// V-1, IO-7: without memory for the request the IOCTL is refused: of the allocations before the answer, the
/// request's is the last.
#[test]
fn a_request_without_memory_is_refused() {
    let answer = |allocation| {
        let status = strict(1).fail_allocation(allocation).run(|| {
            let driver = Driver::load_non_pnp();
            open_device(&driver, PARALLEL, u32::MAX, None, |call| {
                call.complete(STATUS_SUCCESS, 0);
            });
            let status = world::ioctl(LINK, IOCTL, &[], 0).status;
            driver.unload();
            status
        });
        status.unwrap()
    };
    assert_eq!(answer(60), STATUS_SUCCESS);
    let first = (1..60)
        .rev()
        .map(answer)
        .find(|status| *status != STATUS_SUCCESS);
    assert_eq!(first, Some(STATUS_INSUFFICIENT_RESOURCES));
}
