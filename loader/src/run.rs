//! One run of one image in one process.

use std::io::Write as _;
use std::path::PathBuf;

use kmdf_mock::world::{self, Driver, IoStatus, Live, Preemption, Program, Sim};
use kmdf_mock::{NTSTATUS, PCUNICODE_STRING, PDRIVER_OBJECT};

use crate::map::{LOADED, Mapped, Placing};
use crate::pe::{Image, Refused};
use crate::{
    BUG_CHECK, GOOD, REFUSED, REQUEST, USAGE, fault, frames, harness, import, thunk, wdfldr,
};

/// Which engine of `kmdf-mock` runs the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The simulation, by a seed.
    Sim,
    /// Threads of the host in real time.
    Live,
}

/// What the simulated machine is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// As the mock makes it.
    Usual,
    /// As the conformance scenarios want it: a tick per jiffy, sixteen workers, a patient watchdog.
    Scenarios,
    /// That with one CPU, which is given away by priorities and quanta alone, and timers on the tick.
    Timeline,
}

impl Machine {
    /// The simulation of `options`.
    fn sim(self, options: &Options) -> Sim {
        let sim = Sim::new(options.seed).cpus(options.cpus);
        if self == Self::Usual {
            return sim;
        }
        let sim = sim
            .tick_100ns(40_000)
            .workers(16)
            .watchdog_100ns(20 * SECOND, 60 * SECOND);
        if self == Self::Scenarios {
            return sim;
        }
        sim.cpus(1)
            .preemption(Preemption::Never)
            .by_priority()
            .point_100ns(0)
            .timers_on_time()
    }
}

/// A second in 100 ns.
const SECOND: u64 = 10_000_000;

/// What to run, and on what.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who runs the machine.
    pub engine: Engine,
    /// What a simulated machine is like.
    pub machine: Machine,
    /// The seed of a simulation.
    pub seed: u64,
    /// CPUs of the machine.
    pub cpus: u32,
    /// Devices that PnP finds before, and removes after.
    pub devices: u32,
    /// What `kmdf_mock_argument` says to a test driver.
    pub argument: String,
    /// Codes of requests that are sent one after the other, each with an empty input.
    pub ioctls: Vec<u32>,
    /// The symbolic link of the device that gets them; without one it is the device that takes requests.
    pub link: Option<String>,
    /// Whether the image may not be where it was linked for.
    pub elsewhere: bool,
    /// The file that is to say which instructions have run.
    pub coverage: Option<PathBuf>,
    /// Seconds that the run may take.
    pub limit: u32,
    /// The image.
    pub path: PathBuf,
}

impl Options {
    /// A simulation of the mock's usual machine.
    pub fn new(path: PathBuf) -> Self {
        Self {
            engine: Engine::Sim,
            machine: Machine::Usual,
            seed: 0,
            cpus: 4,
            devices: 0,
            argument: String::new(),
            ioctls: Vec::new(),
            link: None,
            elsewhere: false,
            coverage: None,
            limit: 120,
            path,
        }
    }

    /// The command line that does the same again.
    fn command(&self) -> String {
        let engine = match self.engine {
            Engine::Sim => format!("sim --seed {}", self.seed),
            Engine::Live => "live".to_owned(),
        };
        let mut line = format!("replay: kmdf-loader --engine {engine} --cpus {}", self.cpus);
        match self.machine {
            Machine::Usual => {}
            Machine::Scenarios => line.push_str(" --machine scenarios"),
            Machine::Timeline => line.push_str(" --machine timeline"),
        }
        if self.devices != 0 {
            line.push_str(&format!(" --devices {}", self.devices));
        }
        if !self.argument.is_empty() {
            line.push_str(&format!(" --argument {}", self.argument));
        }
        for code in &self.ioctls {
            line.push_str(&format!(" --ioctl {code:#x}"));
        }
        if let Some(link) = &self.link {
            line.push_str(&format!(" --link '{link}'"));
        }
        if self.elsewhere {
            line.push_str(" --elsewhere");
        }
        format!("{line} {}", self.path.display())
    }
}

/// Bytes of a `DRIVER_OBJECT`, and its type: what NT writes into it.
const IO_TYPE_DRIVER: i16 = 4;

/// What the mock calls as the entry point: the image's.
unsafe extern "C" fn enter(object: PDRIVER_OBJECT, path: PCUNICODE_STRING) -> NTSTATUS {
    let image = LOADED
        .get()
        .expect("the image is mapped before it is entered");
    // SAFETY: the mock passes an object of its own, which the entry point is the first to see.
    unsafe {
        (*object).Type = IO_TYPE_DRIVER;
        (*object).Size = size_of_val(&*object) as i16;
        (*object).DriverStart = image.base() as *mut _;
        (*object).DriverSize = image.size() as u32;
        (&raw mut (*object).DriverInit)
            .cast::<usize>()
            .write(image.entry());
    }
    // SAFETY: the entry point of a driver image has this signature.
    let entry: unsafe extern "win64" fn(PDRIVER_OBJECT, PCUNICODE_STRING) -> NTSTATUS =
        unsafe { std::mem::transmute(image.entry()) };
    // SAFETY: the arguments are NT's.
    let status = unsafe { entry(object, path) };
    if status < 0 {
        left_unbound("the entry point returned an error");
        return status;
    }
    image.discard();
    // SAFETY: as above. What stands here is the driver's or the framework's for the driver: its convention.
    unsafe {
        let place = (&raw mut (*object).DriverUnload).cast::<usize>();
        let unload = place.read();
        if unload != 0 {
            place.write(thunk::callback(unload));
        }
    }
    status
}

/// A driver that is still known to the framework when it goes leaves pointers into nothing there.
fn left_unbound(when: &str) {
    if wdfldr::is_bound() {
        world::fail(
            "SIM_NEVER_UNBOUND",
            format!("{when}, and the driver has not called WdfVersionUnbind"),
        );
    }
}

/// How long a machine goes on after the unload, for what comes late: in 100 ns.
const LATE: u64 = 1_000_000;

/// What happens on the machine.
fn inside(options: &Options) -> i32 {
    fault::install(options.limit);
    let driver = Driver::load_entry(enter).unwrap_or_else(|status| {
        world::fail(
            "SIM_DRIVER_REFUSED",
            format!("the driver's entry point returned {status:#010x}"),
        )
    });
    for _ in 0..options.devices {
        driver.add_device();
    }
    let status = requests(&driver, options);
    world::settle();
    driver.unload();
    left_unbound("the driver was unloaded");
    LOADED.get().expect("the image is mapped").unload();
    world::sleep_100ns(LATE);
    status
}

/// Bytes of output that a request has room for.
const OUTPUT: usize = 64 << 10;

/// Sends the requests and prints what comes back. Returns the exit status: whether all succeeded.
fn requests(driver: &Driver, options: &Options) -> i32 {
    let mut exit = GOOD;
    for &code in &options.ioctls {
        let answer = match &options.link {
            Some(link) => world::ioctl(link.as_str(), code, &[], OUTPUT),
            None => request_of_any(driver, code),
        };
        let text = String::from_utf8_lossy(&answer.output);
        print!("{}", text.trim_end_matches('\0'));
        // A fault later on ends the process without it.
        let _ = std::io::stdout().flush();
        if answer.status < 0 {
            eprintln!(
                "kmdf-loader: request {code:#x} ended with {:#010x}",
                answer.status
            );
            exit = REQUEST;
        }
    }
    exit
}

/// `STATUS_INVALID_DEVICE_REQUEST`, `STATUS_NO_SUCH_DEVICE`: what devices say that take no requests.
const NOT_TAKEN: [NTSTATUS; 2] = [0xC000_0010_u32 as i32, 0xC000_000E_u32 as i32];

/// Sends a request to the first of the driver's devices that takes it.
fn request_of_any(driver: &Driver, code: u32) -> IoStatus {
    let mut last = IoStatus {
        status: NOT_TAKEN[1],
        information: 0,
        output: Vec::new(),
    };
    for device in driver.devices() {
        last = world::ioctl(device, code, &[], OUTPUT);
        if !NOT_TAKEN.contains(&last.status) {
            break;
        }
    }
    last
}

/// Maps the image of `options` as that of this process.
fn load(options: &Options) -> Result<(), Refused> {
    let file = std::fs::read(&options.path)
        .map_err(|error| Refused(format!("{}: {error}", options.path.display())))?;
    let image = Image::parse(&file)?;
    let imports = import::resolve(&image)?;
    let placing = Placing {
        elsewhere: options.elsewhere,
        preemptible: options.engine == Engine::Sim,
        covered: options.coverage.is_some(),
    };
    let mapped = Mapped::new(&image, &file, placing, &imports)?;
    LOADED
        .set(mapped)
        .map_err(|_| Refused("a process runs one image".to_owned()))
}

/// Loads the image, lets it run, and unloads it. Returns the exit status of the process; a fault of the driver
/// ends the process at once.
pub fn run(options: &Options) -> i32 {
    if !options.path.is_file() {
        eprintln!(
            "kmdf-loader: {}: there is no such file",
            options.path.display()
        );
        return USAGE;
    }
    if let Err(refused) = load(options) {
        eprintln!("kmdf-loader: refused: {refused}");
        return REFUSED;
    }
    world::describe_program(Program {
        replay: options.command(),
        notes: frames::notes,
    });
    harness::set_argument(&options.argument);
    let given = options.clone();
    let result = match options.engine {
        Engine::Sim => options.machine.sim(options).run(move || inside(&given)),
        Engine::Live => Live::new().cpus(options.cpus).run(move || inside(&given)),
    };
    if let (Some(file), Some(lines)) = (&options.coverage, LOADED.get().and_then(Mapped::coverage))
        && let Err(error) = std::fs::write(file, lines)
    {
        eprintln!("kmdf-loader: {}: {error}", file.display());
        return USAGE;
    }
    match result {
        Ok(status) => status,
        Err(failure) => {
            eprintln!("{failure}");
            BUG_CHECK
        }
    }
}
