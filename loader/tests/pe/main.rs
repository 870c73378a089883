//! Images that are read, placed and refused. They are made in memory; no compiler is needed.

mod image;

use image::{
    CODE, CONSTANTS, DATA, EXECUTE, IS_CODE, Maker, READ, RELOCATIONS, SLOTS, WRITE, constants,
    relocations,
};
use kmdf_loader::map::{Mapped, Placing};
use kmdf_loader::pe::{Access, Image};

/// An image that is not where it was linked for.
const MOVED: Placing = Placing {
    elsewhere: true,
    preemptible: false,
    covered: false,
};

/// Reads the image of `maker`, which is good.
fn good(maker: &Maker) -> Image {
    Image::parse(&maker.make()).expect("the image is good")
}

/// What is said of an image in which one thing is changed.
fn refused(change: impl FnOnce(&mut Maker)) -> String {
    let mut maker = Maker::new();
    change(&mut maker);
    match Image::parse(&maker.make()) {
        Ok(_) => panic!("the image is not refused"),
        Err(refused) => refused.to_string(),
    }
}

/// The word at an address of a mapped image.
fn word(mapped: &Mapped, rva: u32) -> u64 {
    // SAFETY: the tests ask for places in sections of an image that stays mapped.
    unsafe { ((mapped.base() + rva as usize) as *const u64).read_unaligned() }
}

/// What the host lets the page of an address be used for: `r-xp` and the like.
fn pages(address: usize) -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux has it");
    let line = maps.lines().find(|line| {
        let range = line
            .split(' ')
            .next()
            .and_then(|range| range.split_once('-'));
        range.is_some_and(|(from, to)| {
            let bound = |text| usize::from_str_radix(text, 16).expect("a bound is a number");
            (bound(from)..bound(to)).contains(&address)
        })
    });
    let line = line.expect("the address is mapped");
    line.split(' ').nth(1).expect("the second word").to_owned()
}

#[test]
fn sections_imports_and_relocations_are_read() {
    let image = good(&Maker::new());
    assert_eq!((image.preferred, image.size), (0x1_4000_0000, 0x5000));
    assert_eq!(image.entry, CODE as usize);
    let uses: Vec<(&str, Access, bool)> = image
        .sections
        .iter()
        .map(|section| (section.name.as_str(), section.access, section.discardable))
        .collect();
    assert_eq!(
        uses,
        [
            (".text", Access::Execute, false),
            (".rdata", Access::Read, false),
            (".data", Access::Write, false),
            (".reloc", Access::Read, true),
        ]
    );
    assert_eq!(image.relocations, [DATA as usize + 8]);
    let asked: Vec<(&str, &str, usize)> = image
        .imports
        .iter()
        .map(|import| (import.module.as_str(), import.name.as_str(), import.slot))
        .collect();
    assert_eq!(
        asked,
        [
            ("ntoskrnl.exe", "KeGetCurrentIrql", SLOTS as usize),
            ("ntoskrnl.exe", "NoSuchFunction", SLOTS as usize + 8),
        ]
    );
}

#[test]
fn an_image_moves_with_its_addresses() {
    let maker = Maker::new();
    let mapped =
        Mapped::new(&good(&maker), &maker.make(), MOVED, &[11, 22]).expect("there is memory");
    assert_ne!(mapped.base() as u64, maker.base);
    assert_eq!(
        word(&mapped, DATA + 8),
        mapped.base() as u64 + u64::from(CODE) + 4
    );
    assert_eq!((word(&mapped, SLOTS), word(&mapped, SLOTS + 8)), (11, 22));
    assert_eq!(mapped.entry(), mapped.base() + CODE as usize);
}

#[test]
fn an_image_is_where_it_was_linked_for_if_that_is_free() {
    let mut maker = Maker::new();
    maker.base = 0x1_7000_0000;
    let mapped = Mapped::new(&good(&maker), &maker.make(), Placing::default(), &[1, 2])
        .expect("there is memory");
    assert_eq!(mapped.base() as u64, maker.base);
    let again = Mapped::new(&good(&maker), &maker.make(), Placing::default(), &[1, 2])
        .expect("there is memory");
    assert_ne!(again.base(), mapped.base());
}

#[test]
fn an_image_without_relocations_is_nowhere_else() {
    let mut maker = Maker::new();
    maker.directories[5] = (0, 0);
    let refused = Mapped::new(&good(&maker), &maker.make(), MOVED, &[1, 2]);
    let text = refused.expect_err("it cannot move").to_string();
    assert!(text.contains("no relocations"), "{text}");
}

#[test]
fn pages_have_the_use_of_their_section_and_none_after_the_unload() {
    let maker = Maker::new();
    let mapped =
        Mapped::new(&good(&maker), &maker.make(), MOVED, &[1, 2]).expect("there is memory");
    let at = |rva: u32| pages(mapped.base() + rva as usize);
    let uses = [0, CODE, CONSTANTS, DATA, RELOCATIONS].map(at);
    assert_eq!(uses, ["r--p", "r-xp", "r--p", "rw-p", "r--p"]);
    mapped.discard();
    assert_eq!([CODE, RELOCATIONS].map(at), ["r-xp", "---p"]);
    assert!(mapped.is_code(mapped.base() + CODE as usize));
    assert!(!mapped.is_code(mapped.base() + DATA as usize));
    mapped.unload();
    assert_eq!([0, CODE, DATA].map(at), ["---p"; 3]);
    assert!(!mapped.is_code(mapped.base() + CODE as usize));
}

#[test]
fn what_is_no_driver_for_this_machine_is_refused() {
    let says = |text: &str, found: String| assert!(found.contains(text), "{found}");
    says("not x86-64", refused(|maker| maker.machine = 0xAA64));
    says("not native", refused(|maker| maker.subsystem = 3));
    says("not 4096", refused(|maker| maker.alignment = 0x200));
    says("stripped", refused(|maker| maker.characteristics |= 1));
    says("entry point", refused(|maker| maker.entry = DATA));
    says(
        "thread-local",
        refused(|maker| maker.directories[9] = (CONSTANTS, 40)),
    );
    says(
        "delayed",
        refused(|maker| maker.directories[13] = (CONSTANTS, 32)),
    );
    let mut cut = Maker::new().make();
    cut.truncate(0x500);
    assert!(Image::parse(&cut).is_err());
    assert!(Image::parse(b"MZ").is_err());
}

#[test]
fn sections_that_would_share_a_use_are_refused() {
    let says = |text: &str, found: String| assert!(found.contains(text), "{found}");
    let flags = |place: usize, flags: u32| refused(|maker| maker.parts[place].flags = flags);
    says(
        "section .text is writable and executable",
        flags(0, READ | WRITE | EXECUTE | IS_CODE),
    );
    says(
        "section .text has code that cannot be executed",
        flags(0, READ | IS_CODE),
    );
    says("section .data cannot be read", flags(2, 0));
    let long = refused(|maker| maker.parts[0].content = vec![0; 0x1001]);
    says("section .rdata begins at 0x2000, which is not free", long);
}

#[test]
fn relocations_and_imports_outside_of_the_image_are_refused() {
    let says = |text: &str, found: String| assert!(found.contains(text), "{found}");
    let moving = |page: u32, entry: u16| {
        refused(|maker| maker.parts[3].content = relocations(page, &[entry, 0]))
    };
    says("is in no section", moving(0x9000, 0xA000));
    says("has the type 3", moving(DATA, 0x3008));
    let by_number = refused(|maker| {
        let mut bytes = constants("ntoskrnl.exe", &["KeGetCurrentIrql"]);
        bytes[0x40..0x48].copy_from_slice(&(1_u64 << 63 | 7).to_le_bytes());
        maker.parts[1].content = bytes;
    });
    says("number 7", by_number);
    let slot = refused(|maker| {
        let mut bytes = constants("ntoskrnl.exe", &["KeGetCurrentIrql"]);
        bytes[16..20].copy_from_slice(&0x9000_u32.to_le_bytes());
        maker.parts[1].content = bytes;
    });
    says(
        "the slot of ntoskrnl.exe!KeGetCurrentIrql is in no section",
        slot,
    );
}

#[test]
fn busy_waits_are_found_and_bytes_that_look_like_one_are_not() {
    let mut maker = Maker::new();
    // mov eax, 0x90F3; pause; ret
    maker.parts[0].content = vec![0xB8, 0xF3, 0x90, 0, 0, 0xF3, 0x90, 0xC3];
    let code = |preemptible| {
        let placing = Placing {
            elsewhere: true,
            preemptible,
            covered: false,
        };
        let mapped =
            Mapped::new(&good(&maker), &maker.make(), placing, &[1, 2]).expect("there is memory");
        word(&mapped, CODE).to_le_bytes()
    };
    assert_eq!(code(true), [0xB8, 0xF3, 0x90, 0, 0, 0x0F, 0x0B, 0xC3]);
    assert_eq!(code(false), maker.parts[0].content[..]);
}
