//! Attach, detach, and what `bottomhalf.h` has beside them.

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicUsize, Ordering};

use bottomhalf::c_face::{config_mismatch, detach, null_argument, wrong_attachment};
use bottomhalf::{Attachment, Config, Counters, Host, Status, WorkReentrance, linux};

/// NT's code of success.
const STATUS_SUCCESS: i32 = 0;
/// NT's `STATUS_REVISION_MISMATCH`: the driver was compiled for another library than this one.
const STATUS_REVISION_MISMATCH: i32 = 0xC000_0059_u32.cast_signed();

/// `BOTTOMHALF_NON_REENTRANT`.
pub const NON_REENTRANT: u32 = 1;
/// `BOTTOMHALF_SELF_REENTRANT`.
pub const SELF_REENTRANT: u32 = 2;

/// The KMDF minor version that the library is built for.
pub const KMDF_MINOR: u32 = number(env!("BOTTOMHALF_KMDF_MINOR"));

/// The number that `text` is; the build script has checked it.
const fn number(text: &str) -> u32 {
    match u32::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => panic!("not a number"),
    }
}

/// Names the KMDF minor version of the library. The header's attach refers to the name with the driver's, so
/// that the linker names what does not fit.
#[unsafe(export_name = concat!("bottomhalf_is_built_for_kmdf_1_", env!("BOTTOMHALF_KMDF_MINOR")))]
pub extern "C" fn is_built_for_kmdf() {}

/// `struct bottomhalf_config`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct bottomhalf_config {
    /// Its own size, as the driver was compiled.
    pub size: u32,
    /// `HZ` of the headers that the driver was compiled with.
    pub hz: u32,
    /// `KMDF_VERSION_MINOR` that the driver was compiled with.
    pub kmdf_minor: u32,
    /// [`NON_REENTRANT`] or [`SELF_REENTRANT`]: there is no default.
    pub reentrance: u32,
    /// [`Config::pin_bound`], unless zero.
    pub pin_bound: u8,
    /// [`Config::high_resolution`], unless zero.
    pub high_resolution: u8,
    /// Zero.
    pub reserved: [u8; 2],
}

/// `struct bottomhalf_attachment`: the driver's memory, and what is in it while it is attached.
#[repr(C, align(8))]
pub struct bottomhalf_attachment {
    /// Derived from its own address while it is attached, so a copy is none.
    tag: AtomicUsize,
    /// Room for an [`Attachment`], reached by [`Self::place`].
    room: [MaybeUninit<u64>; 3],
}

impl core::fmt::Debug for bottomhalf_attachment {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "bottomhalf_attachment({self:p})")
    }
}

/// What the driver has reserved in `bottomhalf.h`.
const ROOM: usize = 32;
const _: () = assert!(size_of::<bottomhalf_config>() == 20);
const _: () = assert!(size_of::<bottomhalf_counters>() == 72);
const _: () = assert!(size_of::<bottomhalf_attachment>() == ROOM);
const _: () = assert!(size_of::<Attachment>() <= ROOM - size_of::<u64>());
const _: () = assert!(align_of::<Attachment>() <= align_of::<u64>());

/// `struct bottomhalf_counters`: [`Counters`], in their order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct bottomhalf_counters {
    /// [`Counters::accepted`].
    pub accepted: u64,
    /// [`Counters::run`].
    pub run: u64,
    /// [`Counters::cancelled`].
    pub cancelled: u64,
    /// [`Counters::pending`].
    pub pending: u64,
    /// [`Counters::dpc_callbacks`].
    pub dpc_callbacks: u64,
    /// [`Counters::overflows`].
    pub overflows: u64,
    /// [`Counters::work_item_callbacks`].
    pub work_item_callbacks: u64,
    /// [`Counters::timer_callbacks`].
    pub timer_callbacks: u64,
    /// [`Counters::rescues`].
    pub rescues: u64,
}

impl bottomhalf_attachment {
    /// The tag of the attachment at `place`.
    fn tag_of(place: *const Self) -> usize {
        place.addr() ^ 0x4248_0001
    }

    /// The tag while an attach or a detach of the attachment at `place` is under way: it is nobody else's.
    fn tag_between(place: *const Self) -> usize {
        Self::tag_of(place) ^ 2
    }

    /// Where the attach is noted.
    ///
    /// # Safety
    ///
    /// `place` is the driver's memory.
    unsafe fn place(place: *mut Self) -> *mut Attachment {
        // SAFETY: by the caller's word; nothing is read.
        unsafe { (&raw mut (*place).room).cast() }
    }

    /// The tag at `place`, or a diagnostic if that is null.
    ///
    /// # Safety
    ///
    /// `place` is null or the driver's memory, which stays in place.
    unsafe fn tag<'a>(place: *mut Self, call: &str) -> Option<&'a AtomicUsize> {
        if place.is_null() {
            null_argument(call);
            return None;
        }
        // SAFETY: by the caller's word; any bytes are an atomic. The rest is reached by its address alone.
        Some(unsafe { &(*place).tag })
    }

    /// What is attached here, or a diagnostic.
    ///
    /// # Safety
    ///
    /// `place` is null or the driver's memory, and nobody detaches it meanwhile.
    unsafe fn attached<'a>(place: *mut Self, call: &str) -> Option<&'a Attachment> {
        // SAFETY: by the caller's word.
        let tag = unsafe { Self::tag(place, call) }?;
        // ORDERING: Acquire pairs with the Release of `attach`.
        if tag.load(Ordering::Acquire) != Self::tag_of(place) {
            wrong_attachment(call, place.addr());
            return None;
        }
        // SAFETY: the tag says that `attach` has written it, and it stays until the detach.
        Some(unsafe { &*Self::place(place) })
    }
}

/// What the driver's config says, or what it is answered with. What does not fit is said.
///
/// # Safety
///
/// `config` is null or points to as many bytes as its `size` says.
unsafe fn checked(call: &str, config: *const bottomhalf_config) -> Result<Config, i32> {
    if config.is_null() {
        null_argument(call);
        return Err(Status::INVALID_PARAMETER.0);
    }
    // SAFETY: by the caller's word; `size` is the first member, whatever else differs.
    let size = unsafe { config.cast::<u32>().read() };
    let same = |what, drivers, librarys| {
        if drivers == librarys {
            return Ok(());
        }
        config_mismatch(call, what, drivers, librarys);
        Err(STATUS_REVISION_MISMATCH)
    };
    same(
        "sizeof(struct bottomhalf_config)",
        size,
        size_of::<bottomhalf_config>() as u32,
    )?;
    // SAFETY: it has the size of ours.
    let config = unsafe { config.read() };
    same("HZ", config.hz, linux::HZ as u32)?;
    same("KMDF 1.x", config.kmdf_minor, KMDF_MINOR)?;
    let reentrance = match config.reentrance {
        NON_REENTRANT => WorkReentrance::NonReentrant,
        SELF_REENTRANT => WorkReentrance::SelfReentrant,
        other => {
            config_mismatch(
                call,
                "number of the rule for works, at most",
                other,
                SELF_REENTRANT,
            );
            return Err(Status::INVALID_PARAMETER.0);
        }
    };
    Ok(Config::new(reentrance)
        .pin_bound(config.pin_bound != 0)
        .high_resolution(config.high_resolution != 0))
}

/// Attaches on `host`, and notes it in `attachment`.
///
/// # Safety
///
/// As for [`bottomhalf_attach_driver`].
unsafe fn attach(
    call: &str,
    host: Host,
    config: *const bottomhalf_config,
    attachment: *mut bottomhalf_attachment,
) -> i32 {
    // SAFETY: by the caller's word.
    let config = match unsafe { checked(call, config) } {
        Ok(config) => config,
        Err(status) => return status,
    };
    let (Host::Driver(handle) | Host::Device(handle)) = host;
    if handle.is_null() {
        null_argument(call);
        return Status::INVALID_PARAMETER.0;
    }
    // SAFETY: by the caller's word.
    let Some(tag) = (unsafe { bottomhalf_attachment::tag(attachment, call) }) else {
        return Status::INVALID_PARAMETER.0;
    };
    let own = bottomhalf_attachment::tag_of(attachment);
    let between = bottomhalf_attachment::tag_between(attachment);
    // ORDERING: AcqRel: one caller takes it, after whoever had it before.
    let take = |tag| (tag != own && tag != between).then_some(between);
    let taken = tag.fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
    if taken.is_err() {
        wrong_attachment(call, attachment.addr());
        return Status::INVALID_DEVICE_REQUEST.0;
    }
    // SAFETY: by the caller's word.
    let (status, tag_after) = match unsafe { bottomhalf::attach(host, &config) } {
        Ok(made) => {
            // SAFETY: we alone have taken it, and it is not attached.
            unsafe { bottomhalf_attachment::place(attachment).write(made) };
            (STATUS_SUCCESS, own)
        }
        Err(status) => (status.0, 0),
    };
    // ORDERING: Release publishes the attachment.
    tag.store(tag_after, Ordering::Release);
    status
}

/// [`bottomhalf::attach`] on a WDFDRIVER. Beyond its statuses: `STATUS_REVISION_MISMATCH` if the config does
/// not fit the library (BH35), `STATUS_INVALID_PARAMETER` for a null pointer (BH34),
/// `STATUS_INVALID_DEVICE_REQUEST` if `attachment` is attached (BH36).
///
/// # Safety
///
/// As for [`bottomhalf::attach`]. `config` is null or of the size it says; `attachment` is null or memory of
/// the driver that stays in place until the detach.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bottomhalf_attach_driver(
    driver: *mut c_void,
    config: *const bottomhalf_config,
    attachment: *mut bottomhalf_attachment,
) -> i32 {
    // SAFETY: by the caller's word.
    unsafe {
        attach(
            "bottomhalf_attach_driver",
            Host::Driver(driver),
            config,
            attachment,
        )
    }
}

/// [`bottomhalf::attach`] on a WDFDEVICE. Answers as [`bottomhalf_attach_driver`] does.
///
/// # Safety
///
/// As for [`bottomhalf_attach_driver`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bottomhalf_attach_device(
    device: *mut c_void,
    config: *const bottomhalf_config,
    attachment: *mut bottomhalf_attachment,
) -> i32 {
    // SAFETY: by the caller's word.
    unsafe {
        attach(
            "bottomhalf_attach_device",
            Host::Device(device),
            config,
            attachment,
        )
    }
}

/// [`Attachment::detach`]. An attachment that is not attached is reported (BH36, BH34) and left alone. Where a
/// detach does not happen (BH06, BH07) the attachment is as before, and can be detached later.
///
/// # Safety
///
/// `attachment` is null or memory of the driver, and nobody else uses it meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bottomhalf_detach(attachment: *mut bottomhalf_attachment) {
    let call = "bottomhalf_detach";
    // SAFETY: by the caller's word.
    let Some(tag) = (unsafe { bottomhalf_attachment::tag(attachment, call) }) else {
        return;
    };
    let own = bottomhalf_attachment::tag_of(attachment);
    let between = bottomhalf_attachment::tag_between(attachment);
    // ORDERING: AcqRel: one caller takes it, and finds what `attach` has written.
    let taken = tag.compare_exchange(own, between, Ordering::AcqRel, Ordering::Acquire);
    if taken.is_err() {
        return wrong_attachment(call, attachment.addr());
    }
    // SAFETY: it was attached, and we alone have taken the tag away; the memory stays. ManuallyDrop has the
    // layout of what is in it.
    let attached = unsafe { &mut *bottomhalf_attachment::place(attachment).cast() };
    let tag_after = if detach(attached) { 0 } else { own };
    // ORDERING: Release, as in `attach`.
    tag.store(tag_after, Ordering::Release);
}

/// [`Attachment::freeze`]. An attachment that is not attached is reported (BH36, BH34).
///
/// # Safety
///
/// `attachment` is null or memory of the driver, and nobody detaches it meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bottomhalf_freeze(attachment: *mut bottomhalf_attachment) {
    // SAFETY: by the caller's word.
    let attached = unsafe { bottomhalf_attachment::attached(attachment, "bottomhalf_freeze") };
    if let Some(attachment) = attached {
        attachment.freeze();
    }
}

/// [`Attachment::thaw`]. An attachment that is not attached is reported (BH36, BH34).
///
/// # Safety
///
/// As for [`bottomhalf_freeze`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bottomhalf_thaw(attachment: *mut bottomhalf_attachment) {
    // SAFETY: by the caller's word.
    let attached = unsafe { bottomhalf_attachment::attached(attachment, "bottomhalf_thaw") };
    if let Some(attachment) = attached {
        attachment.thaw();
    }
}

/// [`bottomhalf::counters`]. A null place is reported (BH34).
///
/// # Safety
///
/// `counters` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bottomhalf_get_counters(counters: *mut bottomhalf_counters) {
    // SAFETY: by the caller's word; nobody else has it.
    let Some(place) = (unsafe { counters.as_mut() }) else {
        return null_argument("bottomhalf_get_counters");
    };
    let Counters {
        accepted,
        run,
        cancelled,
        pending,
        dpc_callbacks,
        overflows,
        work_item_callbacks,
        timer_callbacks,
        rescues,
    } = bottomhalf::counters();
    *place = bottomhalf_counters {
        accepted,
        run,
        cancelled,
        pending,
        dpc_callbacks,
        overflows,
        work_item_callbacks,
        timer_callbacks,
        rescues,
    };
}
