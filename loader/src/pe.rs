//! Reading an image: what NT's loader asks of a driver, and where everything goes.

use std::fmt;
use std::ops::Range;

use object::LittleEndian as LE;
use object::pe::{
    FileFlags, IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT, IMAGE_DIRECTORY_ENTRY_TLS,
    IMAGE_FILE_MACHINE_AMD64, IMAGE_FILE_RELOCS_STRIPPED, IMAGE_REL_BASED_ABSOLUTE,
    IMAGE_REL_BASED_DIR64, IMAGE_SCN_CNT_CODE, IMAGE_SCN_MEM_DISCARDABLE, IMAGE_SCN_MEM_EXECUTE,
    IMAGE_SCN_MEM_READ, IMAGE_SCN_MEM_WRITE, IMAGE_SUBSYSTEM_NATIVE, ImageNtHeaders64,
    ImageSectionHeader, SectionFlags,
};
use object::read::pe::{Import as Named, PeFile64};

/// The page of x86-64, and the alignment that sections of different protection need.
pub const PAGE: usize = 4096;
/// More is no driver.
const LARGEST: usize = 256 << 20;

/// Why an image is not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl From<object::read::Error> for Refused {
    fn from(error: object::read::Error) -> Self {
        Self(format!("the image cannot be read: {error}"))
    }
}

/// A refusal with a text.
fn refuse<T>(why: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(why.into()))
}

/// What the pages of a section may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading and executing.
    Execute,
    /// Reading and writing.
    Write,
}

/// A section of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its name, as far as the header has it.
    pub name: String,
    /// Where it begins, from the base of the image.
    pub rva: usize,
    /// Bytes in memory.
    pub size: usize,
    /// Where its content is in the file.
    pub data: Range<usize>,
    /// What its pages may be used for.
    pub access: Access,
    /// NT drops it after the entry point has returned.
    pub discardable: bool,
}

/// A function that the image asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The module, as the image spells it.
    pub module: String,
    /// The function.
    pub name: String,
    /// Where its address is to be written.
    pub slot: usize,
}

/// A driver image that may be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The address that it was linked for.
    pub preferred: u64,
    /// Bytes in memory.
    pub size: usize,
    /// Bytes of headers, which are mapped too.
    pub headers: usize,
    /// The entry point.
    pub entry: usize,
    /// In the order of their addresses.
    pub sections: Vec<Section>,
    /// Places of 64-bit addresses, which move with the image.
    pub relocations: Vec<usize>,
    /// In the order of the image.
    pub imports: Vec<Import>,
}

impl Image {
    /// Reads an image and refuses what NT would not load, or would load and should not.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(file: &[u8]) -> Result<Self, Refused> {
        let pe = PeFile64::parse(file)?;
        let header = &pe.nt_headers().file_header;
        let optional = &pe.nt_headers().optional_header;
        if header.machine.get(LE) != IMAGE_FILE_MACHINE_AMD64 {
            return refuse(format!(
                "machine {:#06x} is not x86-64",
                header.machine.get(LE)
            ));
        }
        if optional.subsystem.get(LE) != IMAGE_SUBSYSTEM_NATIVE {
            return refuse(format!(
                "subsystem {} is not native (1)",
                optional.subsystem.get(LE)
            ));
        }
        let alignment = optional.section_alignment.get(LE) as usize;
        if alignment != PAGE {
            return refuse(format!(
                "section alignment {alignment} is not 4096: pages of different use would be one page"
            ));
        }
        let size = optional.size_of_image.get(LE) as usize;
        if size == 0 || size > LARGEST || !size.is_multiple_of(PAGE) {
            return refuse(format!(
                "an image size of {size} bytes is no number of pages"
            ));
        }
        let headers = optional.size_of_headers.get(LE) as usize;
        if headers > file.len() || headers > size {
            return refuse("the headers are longer than the image");
        }
        no_directory(&pe, IMAGE_DIRECTORY_ENTRY_TLS, "thread-local storage")?;
        no_directory(&pe, IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT, "delayed imports")?;
        let sections = sections(&pe, file.len(), headers, size)?;
        let entry = optional.address_of_entry_point.get(LE) as usize;
        if !within(&sections, Access::Execute, entry, 1) {
            return refuse(format!("the entry point {entry:#x} is in no code section"));
        }
        if header.characteristics.get(LE) & IMAGE_FILE_RELOCS_STRIPPED != FileFlags(0) {
            return refuse("the relocations are stripped, so NT cannot place the image");
        }
        let relocations = relocations(&pe, &sections)?;
        let imports = imports(&pe, &sections)?;
        Ok(Self {
            preferred: optional.image_base.get(LE),
            size,
            headers,
            entry,
            sections,
            relocations,
            imports,
        })
    }

    /// The bytes of the file as they are in memory at the preferred base, before any relocation.
    pub fn layout(&self, file: &[u8]) -> Vec<u8> {
        let mut memory = vec![0; self.size];
        memory[..self.headers].copy_from_slice(&file[..self.headers]);
        for section in &self.sections {
            let data = &file[section.data.clone()];
            memory[section.rva..section.rva + data.len()].copy_from_slice(data);
        }
        memory
    }
}

/// Whether `length` bytes at `rva` are in one section that may be used so.
fn within(sections: &[Section], access: Access, rva: usize, length: usize) -> bool {
    sections.iter().any(|section| {
        section.access == access && rva >= section.rva && rva + length <= section.rva + section.size
    })
}

/// Refuses an image that has a data directory which NT does nothing about.
fn no_directory(pe: &PeFile64<'_>, index: usize, what: &str) -> Result<(), Refused> {
    match pe.data_directory(index) {
        Some(_) => refuse(format!(
            "the image has {what}, which NT does not give drivers"
        )),
        None => Ok(()),
    }
}

/// The sections, each with one use, on pages of their own and inside of the image.
fn sections(
    pe: &PeFile64<'_>,
    file: usize,
    headers: usize,
    size: usize,
) -> Result<Vec<Section>, Refused> {
    let mut sections = Vec::new();
    let mut free = headers;
    for header in pe.section_table().iter() {
        let section = section(header)?;
        if section.rva < free || !section.rva.is_multiple_of(PAGE) {
            return refuse(format!(
                "section {} begins at {:#x}, which is not free, or no page boundary",
                section.name, section.rva
            ));
        }
        if section.rva + section.size > size || section.data.end > file {
            return refuse(format!("section {} reaches beyond the image", section.name));
        }
        free = section.rva + section.size;
        sections.push(section);
    }
    Ok(sections)
}

fn section(header: &ImageSectionHeader) -> Result<Section, Refused> {
    let name = String::from_utf8_lossy(header.raw_name()).into_owned();
    let flags = header.characteristics.get(LE);
    let has = |flag| flags & flag != SectionFlags(0);
    let access = match (has(IMAGE_SCN_MEM_EXECUTE), has(IMAGE_SCN_MEM_WRITE)) {
        (true, true) => {
            return refuse(format!(
                "section {name} is writable and executable: HVCI does not load it"
            ));
        }
        (true, false) => Access::Execute,
        (false, true) => Access::Write,
        (false, false) if has(IMAGE_SCN_MEM_READ) => Access::Read,
        (false, false) => return refuse(format!("section {name} cannot be read")),
    };
    if has(IMAGE_SCN_CNT_CODE) && access != Access::Execute {
        return refuse(format!("section {name} has code that cannot be executed"));
    }
    let memory = header.virtual_size.get(LE) as usize;
    let raw = header.size_of_raw_data.get(LE) as usize;
    let begin = header.pointer_to_raw_data.get(LE) as usize;
    let size = if memory == 0 { raw } else { memory };
    Ok(Section {
        name,
        rva: header.virtual_address.get(LE) as usize,
        size,
        data: begin..begin + raw.min(size),
        access,
        discardable: has(IMAGE_SCN_MEM_DISCARDABLE),
    })
}

/// The places that move with the image.
fn relocations(pe: &PeFile64<'_>, sections: &[Section]) -> Result<Vec<usize>, Refused> {
    let mut places = Vec::new();
    let blocks = pe
        .data_directories()
        .relocation_blocks(pe.data(), &pe.section_table())?;
    let Some(mut blocks) = blocks else {
        return Ok(places);
    };
    while let Some(block) = blocks.next()? {
        for relocation in block {
            let rva = relocation.virtual_address as usize;
            match relocation.typ {
                IMAGE_REL_BASED_ABSOLUTE => {}
                IMAGE_REL_BASED_DIR64 => {
                    let inside = sections
                        .iter()
                        .any(|section| rva >= section.rva && rva + 8 <= section.rva + section.size);
                    if !inside {
                        return refuse(format!("a relocation at {rva:#x} is in no section"));
                    }
                    places.push(rva);
                }
                other => {
                    return refuse(format!("a relocation at {rva:#x} has the type {other}"));
                }
            }
        }
    }
    Ok(places)
}

/// What the image asks for, by name.
fn imports(pe: &PeFile64<'_>, sections: &[Section]) -> Result<Vec<Import>, Refused> {
    let mut imports = Vec::new();
    let Some(table) = pe.import_table()? else {
        return Ok(imports);
    };
    let mut modules = table.descriptors()?;
    while let Some(descriptor) = modules.next()? {
        let module = String::from_utf8_lossy(table.name(descriptor.name.get(LE))?).into_owned();
        let names = match descriptor.original_first_thunk.get(LE) {
            0 => descriptor.first_thunk.get(LE),
            names => names,
        };
        let mut slot = descriptor.first_thunk.get(LE) as usize;
        let mut thunks = table.thunks(names)?;
        while let Some(thunk) = thunks.next::<ImageNtHeaders64>()? {
            let name = match table.import::<ImageNtHeaders64>(thunk)? {
                Named::Name(_, name) => String::from_utf8_lossy(name).into_owned(),
                Named::Ordinal(number) => {
                    return refuse(format!(
                        "{module} is asked for number {number}, not for a name"
                    ));
                }
            };
            let inside = sections
                .iter()
                .any(|section| slot >= section.rva && slot + 8 <= section.rva + section.size);
            if !inside {
                return refuse(format!("the slot of {module}!{name} is in no section"));
            }
            imports.push(Import {
                module: module.clone(),
                name,
                slot,
            });
            slot += 8;
        }
    }
    Ok(imports)
}
