//! Where in the driver a context is: return addresses on its stack.
//!
//! Microsoft's x64 code keeps no chain of frames, so the stack is searched for addresses that follow a call
//! instruction in the driver's code. One of a call that has returned can be among them.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::OnceLock;

use crate::map::{self, Mapped};
use crate::pe::PAGE;

/// Most places that are named.
pub(crate) const MOST: usize = 8;
/// Pages of stack that are searched.
const PAGES: usize = 16;

/// The memory of this process, which can be read wherever there is none.
fn memory() -> Option<&'static File> {
    static MEMORY: OnceLock<Option<File>> = OnceLock::new();
    MEMORY
        .get_or_init(|| {
            let mut options = File::options();
            options.read(true).write(true).open("/proc/self/mem").ok()
        })
        .as_ref()
}

/// Opens what a signal handler cannot open.
pub(crate) fn prepare() {
    memory();
}

/// Reads memory that may not be there. False: it is not.
pub(crate) fn read(address: usize, bytes: &mut [u8]) -> bool {
    memory().is_some_and(|memory| memory.read_exact_at(bytes, address as u64).is_ok())
}

/// Writes a byte, even where the pages are only to be read. False: there is no memory.
pub(crate) fn write(address: usize, byte: u8) -> bool {
    memory().is_some_and(|memory| memory.write_all_at(&[byte], address as u64).is_ok())
}

/// Whether a call instruction ends at `address`, which is in code of the image.
fn follows_a_call(image: &Mapped, address: usize) -> bool {
    let mut code = [0; 7];
    if !image.is_code(address.wrapping_sub(code.len())) || !read(address - code.len(), &mut code) {
        return false;
    }
    // FF /2: the second byte says which registers and how much more comes.
    let indirect = |length: usize, modes: &[u8]| {
        let at = code.len() - length;
        let form = code[at + 1];
        code[at] == 0xFF && form >> 3 & 7 == 2 && modes.contains(&(form >> 6))
    };
    code[2] == 0xE8
        || indirect(2, &[0, 3])
        || indirect(3, &[0, 1])
        || indirect(4, &[1])
        || indirect(6, &[0, 2])
        || indirect(7, &[2])
}

/// RVAs of calls that are under way above `stack`, innermost first.
pub(crate) fn search(stack: usize) -> ([usize; MOST], usize) {
    let mut found = [0; MOST];
    let mut count = 0;
    let Some(image) = map::LOADED.get() else {
        return (found, 0);
    };
    let mut address = stack & !7;
    let end = (stack & !(PAGE - 1)) + PAGES * PAGE;
    let mut word = [0; 8];
    while address < end && count < MOST && read(address, &mut word) {
        let value = usize::from_le_bytes(word);
        if image.is_code(value) && follows_a_call(image, value) {
            found[count] = value - image.base();
            count += 1;
        }
        address += 8;
    }
    (found, count)
}

/// What a report of a failed call says about the driver.
#[inline(never)]
pub(crate) fn notes() -> Vec<String> {
    let here = 0_u64;
    let (found, count) = search((&raw const here).addr());
    found[..count]
        .iter()
        .map(|rva| format!("called from driver+{rva:#x}"))
        .collect()
}
