//! The modules that a driver can import from, and what it asks for in vain.

use std::sync::{Mutex, PoisonError};

use kmdf_mock::world;

use crate::convert::Entry;
use crate::pe::{Image, Refused};
use crate::{harness, nt, rtl, thunk, wdfldr};

type Exports = &'static [(&'static str, Entry)];

/// What a module exports; `None` for a module that is not offered.
fn exports(module: &str) -> Option<Vec<Exports>> {
    match module.to_ascii_lowercase().as_str() {
        "ntoskrnl.exe" => Some(vec![nt::CALLS, rtl::CALLS]),
        "wdfldr.sys" => Some(vec![wdfldr::CALLS]),
        "kmdf_mock.sys" => Some(vec![harness::CALLS]),
        _ => None,
    }
}

/// The imports that nothing answers to.
static ABSENT: Mutex<Vec<String>> = Mutex::new(Vec::new());

extern "win64" fn absent(number: u32) -> ! {
    let absent = ABSENT.lock().unwrap_or_else(PoisonError::into_inner);
    let name = absent
        .get(number as usize)
        .map_or_else(String::new, Clone::clone);
    drop(absent);
    world::fail(
        &format!("SIM_UNRESOLVED_IMPORT({name})"),
        format!("the driver called {name}, which the loader does not have"),
    )
}

/// The address of each import of `image`, in their order. One that nothing answers to ends the run when it is
/// called, and not before.
///
/// # Errors
/// A module that is not offered.
pub(crate) fn resolve(image: &Image) -> Result<Vec<usize>, Refused> {
    let find = |module: &str, name: &str| -> Result<Option<usize>, Refused> {
        let lists = exports(module).ok_or_else(|| {
            Refused(format!(
                "{name} is imported from {module}, which is neither ntoskrnl.exe nor WDFLDR.SYS"
            ))
        })?;
        let entry = lists
            .into_iter()
            .flatten()
            .find(|(other, _)| *other == name);
        Ok(entry.map(|(_, entry)| entry.address()))
    };
    let found: Vec<Option<usize>> = image
        .imports
        .iter()
        .map(|import| find(&import.module, &import.name))
        .collect::<Result<_, Refused>>()?;
    let names: Vec<String> = image
        .imports
        .iter()
        .zip(&found)
        .filter(|(_, found)| found.is_none())
        .map(|(import, _)| format!("{}!{}", import.module, import.name))
        .collect();
    let stub = thunk::stubs(names.len() as u32, absent);
    *ABSENT.lock().unwrap_or_else(PoisonError::into_inner) = names;
    let mut number = 0;
    let address = |found: Option<usize>| {
        found.unwrap_or_else(|| {
            number += 1;
            stub(number - 1)
        })
    };
    Ok(found.into_iter().map(address).collect())
}
