//! A small driver image, made in memory: code, constants with imports, data, relocations.

/// A section to make: name, flags, content.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) flags: u32,
    pub(crate) content: Vec<u8>,
}

/// What an image is made of. Tests change single things of [`Maker::new`].
pub(crate) struct Maker {
    pub(crate) machine: u16,
    pub(crate) characteristics: u16,
    pub(crate) subsystem: u16,
    pub(crate) alignment: u32,
    pub(crate) base: u64,
    pub(crate) entry: u32,
    pub(crate) parts: Vec<Part>,
    /// Data directories by number: RVA and size.
    pub(crate) directories: [(u32, u32); 16],
}

/// Where the parts are, in their order.
pub(crate) const CODE: u32 = 0x1000;
pub(crate) const CONSTANTS: u32 = 0x2000;
pub(crate) const DATA: u32 = 0x3000;
pub(crate) const RELOCATIONS: u32 = 0x4000;
/// The slots of the imports.
pub(crate) const SLOTS: u32 = CONSTANTS + 0x80;

pub(crate) const READ: u32 = 0x4000_0000;
pub(crate) const WRITE: u32 = 0x8000_0000;
pub(crate) const EXECUTE: u32 = 0x2000_0000;
pub(crate) const IS_CODE: u32 = 0x20;
pub(crate) const DISCARDABLE: u32 = 0x0200_0000;

const FILE_ALIGNMENT: u32 = 0x200;
/// Where the PE header is.
const HEADER: usize = 0x80;

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// The constants: one descriptor, the names, the slots, then the texts.
pub(crate) fn constants(module: &str, names: &[&str]) -> Vec<u8> {
    let mut bytes = vec![0; 0x200];
    let mut text = 0x100;
    let mut lookup = 0x40;
    let mut slot = (SLOTS - CONSTANTS) as usize;
    put(&mut bytes, 0, &(CONSTANTS + 0x40).to_le_bytes());
    put(&mut bytes, 16, &SLOTS.to_le_bytes());
    for name in names {
        // A hint of two bytes is in front of a name.
        put(&mut bytes, text + 2, name.as_bytes());
        let address = u64::from(CONSTANTS) + text as u64;
        put(&mut bytes, lookup, &address.to_le_bytes());
        put(&mut bytes, slot, &address.to_le_bytes());
        text += (name.len() + 4) & !1;
        lookup += 8;
        slot += 8;
    }
    put(&mut bytes, 12, &(CONSTANTS + text as u32).to_le_bytes());
    put(&mut bytes, text, module.as_bytes());
    bytes
}

/// A block of relocations of one page: the type in the upper four bits, the offset in the lower.
pub(crate) fn relocations(page: u32, entries: &[u16]) -> Vec<u8> {
    let mut bytes = page.to_le_bytes().to_vec();
    bytes.extend((8 + 2 * entries.len() as u32).to_le_bytes());
    bytes.extend(entries.iter().flat_map(|entry| entry.to_le_bytes()));
    bytes
}

impl Maker {
    /// A driver with two imports and one address in its data.
    pub(crate) fn new() -> Self {
        let base = 0x1_4000_0000;
        let mut data = vec![0; 0x20];
        put(&mut data, 8, &(base + u64::from(CODE) + 4).to_le_bytes());
        let moving = relocations(DATA, &[0xA008, 0x0000]);
        let mut directories = [(0, 0); 16];
        directories[1] = (CONSTANTS, 40);
        directories[5] = (RELOCATIONS, moving.len() as u32);
        let part = |name, flags, content| Part {
            name,
            flags,
            content,
        };
        Self {
            machine: 0x8664,
            characteristics: 0x22,
            subsystem: 1,
            alignment: 0x1000,
            base,
            entry: CODE,
            parts: vec![
                // xor eax, eax; ret
                part(".text", READ | EXECUTE | IS_CODE, vec![0x31, 0xC0, 0xC3]),
                part(
                    ".rdata",
                    READ,
                    constants("ntoskrnl.exe", &["KeGetCurrentIrql", "NoSuchFunction"]),
                ),
                part(".data", READ | WRITE, data),
                part(".reloc", READ | DISCARDABLE, moving),
            ],
            directories,
        }
    }

    /// The bytes of the file.
    pub(crate) fn make(&self) -> Vec<u8> {
        let mut file = vec![0; 0x400];
        put(&mut file, 0, b"MZ");
        put(&mut file, 0x3C, &(HEADER as u32).to_le_bytes());
        put(&mut file, HEADER, b"PE\0\0");
        let coff = HEADER + 4;
        put(&mut file, coff, &self.machine.to_le_bytes());
        put(
            &mut file,
            coff + 2,
            &(self.parts.len() as u16).to_le_bytes(),
        );
        put(&mut file, coff + 16, &240_u16.to_le_bytes());
        put(&mut file, coff + 18, &self.characteristics.to_le_bytes());
        let optional = coff + 20;
        let size = 0x1000 * (self.parts.len() as u32 + 1);
        put(&mut file, optional, &0x20B_u16.to_le_bytes());
        put(&mut file, optional + 16, &self.entry.to_le_bytes());
        put(&mut file, optional + 24, &self.base.to_le_bytes());
        put(&mut file, optional + 32, &self.alignment.to_le_bytes());
        put(&mut file, optional + 36, &FILE_ALIGNMENT.to_le_bytes());
        put(&mut file, optional + 56, &size.to_le_bytes());
        put(&mut file, optional + 60, &0x400_u32.to_le_bytes());
        put(&mut file, optional + 68, &self.subsystem.to_le_bytes());
        put(&mut file, optional + 108, &16_u32.to_le_bytes());
        for (number, (rva, length)) in self.directories.iter().enumerate() {
            put(&mut file, optional + 112 + 8 * number, &rva.to_le_bytes());
            put(
                &mut file,
                optional + 116 + 8 * number,
                &length.to_le_bytes(),
            );
        }
        self.sections(file, optional + 240)
    }

    fn sections(&self, mut file: Vec<u8>, headers: usize) -> Vec<u8> {
        for (number, part) in self.parts.iter().enumerate() {
            let header = headers + 40 * number;
            let begin = file.len() as u32;
            let raw = (part.content.len() as u32).next_multiple_of(FILE_ALIGNMENT);
            let rva = 0x1000 * (number as u32 + 1);
            put(&mut file, header, part.name.as_bytes());
            put(
                &mut file,
                header + 8,
                &(part.content.len() as u32).to_le_bytes(),
            );
            put(&mut file, header + 12, &rva.to_le_bytes());
            put(&mut file, header + 16, &raw.to_le_bytes());
            put(&mut file, header + 20, &begin.to_le_bytes());
            put(&mut file, header + 36, &part.flags.to_le_bytes());
            file.extend_from_slice(&part.content);
            file.resize((begin + raw) as usize, 0);
        }
        file
    }
}
