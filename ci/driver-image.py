#!/usr/bin/python3
"""ci/driver-image.py check FILE: whether FILE is an image that Windows on x86-64 loads as a KMDF driver.
ci/driver-image.py spoil KIND FILE COPY: a copy of FILE with one thing wrong, for a negative control.
ci/driver-image.py kinds: what can be spoiled.
Needs pefile. Exit: 0 good, 1 not such an image, and why."""

import struct
import sys

import pefile

NATIVE = 1
AMD64 = 0x8664
RELOCATIONS_STRIPPED = 0x0001
EXECUTE, WRITE = 0x20000000, 0x80000000
FLAGS = {"dynamic base": 0x0040, "integrity": 0x0080, "no execution of data": 0x0100}
PAGE = 4096
MODULES = {b"ntoskrnl.exe", b"WDFLDR.SYS"}
BINDING = {b"WdfVersionBind", b"WdfVersionUnbind"}
RELOCATIONS, TLS, DELAYED, CLR = 5, 9, 13, 14


class Wrong(Exception):
    """The image is not as it has to be."""


def expect(is_so, otherwise):
    if not is_so:
        raise Wrong(otherwise)


def header(image):
    optional = image.OPTIONAL_HEADER
    expect(image.FILE_HEADER.Machine == AMD64, "the machine is not AMD64")
    expect(optional.Subsystem == NATIVE, f"the subsystem is {optional.Subsystem}, not native")
    for name, flag in FLAGS.items():
        expect(optional.DllCharacteristics & flag, f"the flag is missing: {name}")
    found, right = optional.CheckSum, image.generate_checksum()
    expect(found == right, f"the checksum is {found:#x}, not {right:#x}")


def sections(image):
    alignment = image.OPTIONAL_HEADER.SectionAlignment
    expect(alignment % PAGE == 0 and alignment > 0, f"sections are aligned to {alignment} bytes, not to pages")
    for section in image.sections:
        name = section.Name.rstrip(b"\0").decode()
        expect(section.VirtualAddress % PAGE == 0, f"section {name} begins within a page")
        both = section.Characteristics & EXECUTE and section.Characteristics & WRITE
        expect(not both, f"section {name} is writable and executable")
        expect(not name.startswith((".tls", ".CRT")), f"section {name} needs a C runtime")


def directories(image):
    entries = image.OPTIONAL_HEADER.DATA_DIRECTORY
    stripped = image.FILE_HEADER.Characteristics & RELOCATIONS_STRIPPED
    expect(entries[RELOCATIONS].Size > 0 and not stripped, "there are no relocations")
    for index, name in ((TLS, "thread-local storage"), (DELAYED, "delayed imports"), (CLR, "a CLR header")):
        expect(entries[index].VirtualAddress == 0, f"there is {name}")


def imports(image):
    """The address of each import's slot, by name."""
    slots = {}
    modules = {}
    for module in getattr(image, "DIRECTORY_ENTRY_IMPORT", []):
        for function in module.imports:
            expect(function.name, f"an import of {module.dll.decode()} has no name")
            slots[function.name] = function.address - image.OPTIONAL_HEADER.ImageBase
            modules.setdefault(module.dll, set()).add(function.name)
    others = modules.keys() - MODULES
    expect(not others, f"there are imports from {b', '.join(sorted(others)).decode()}")
    expect(modules.get(b"WDFLDR.SYS") == BINDING, "WdfVersionBind and WdfVersionUnbind are not what WDFLDR.SYS gives")
    return modules, slots


def slot_of(image, address):
    """The address of the slot that the call or jump at an address goes through."""
    instruction = image.get_data(address, 6)
    if len(instruction) < 6 or instruction[:2] not in (b"\xff\x15", b"\xff\x25"):
        return None
    return address + 6 + struct.unpack("<i", instruction[2:])[0]


def entry(image, slots):
    """The entry point is the stub that binds the driver: a function that calls WdfVersionBind through its slot."""
    start = image.OPTIONAL_HEADER.AddressOfEntryPoint
    functions = [f.struct for f in getattr(image, "DIRECTORY_ENTRY_EXCEPTION", [])]
    ends = [f.EndAddress for f in functions if f.BeginAddress == start]
    expect(ends, "no function begins at the entry point")
    code = image.get_data(start, ends[0] - start)
    for at in range(len(code) - 4):
        # The call goes through the slot, or to a jump through it.
        called = start + at
        if code[at] == 0xE8:
            called += 5 + struct.unpack_from("<i", code, at + 1)[0]
        if slot_of(image, called) == slots[b"WdfVersionBind"]:
            return
    raise Wrong("the entry point does not call WdfVersionBind")


def check(path):
    image = pefile.PE(path)
    header(image)
    sections(image)
    directories(image)
    modules, slots = imports(image)
    entry(image, slots)
    for module, names in sorted(modules.items()):
        print(f"{module.decode()}: {len(names)} imports")
    print(f"{len(image.sections)} sections, {len(slots)} imports, checksum {image.OPTIONAL_HEADER.CheckSum:#x}")


def spoil_section(image):
    text = next(s for s in image.sections if s.Characteristics & EXECUTE)
    text.Characteristics |= WRITE


def spoil_directory(index, address, size):
    def spoil(image):
        image.OPTIONAL_HEADER.DATA_DIRECTORY[index].VirtualAddress = address
        image.OPTIONAL_HEADER.DATA_DIRECTORY[index].Size = size

    return spoil


def spoil_option(name, change):
    def spoil(image):
        setattr(image.OPTIONAL_HEADER, name, change(getattr(image.OPTIONAL_HEADER, name)))

    return spoil


def spoil_entry(image):
    other = next(
        f.struct.BeginAddress
        for f in image.DIRECTORY_ENTRY_EXCEPTION
        if f.struct.BeginAddress != image.OPTIONAL_HEADER.AddressOfEntryPoint
    )
    image.OPTIONAL_HEADER.AddressOfEntryPoint = other


def spoil_module(image):
    module = next(m for m in image.DIRECTORY_ENTRY_IMPORT if m.dll == b"ntoskrnl.exe")
    image.set_bytes_at_rva(module.struct.Name, b"msvcrt.dll\0\0")


# Kind, what is done, and what the check has to say.
SPOILED = {
    "subsystem": (spoil_option("Subsystem", lambda _: 3), "the subsystem is 3, not native"),
    "data": (spoil_option("DllCharacteristics", lambda f: f & ~0x100), "the flag is missing: no execution of data"),
    "alignment": (spoil_option("SectionAlignment", lambda _: 512), "sections are aligned to 512 bytes"),
    "writable": (spoil_section, "is writable and executable"),
    "relocations": (spoil_directory(RELOCATIONS, 0, 0), "there are no relocations"),
    "tls": (spoil_directory(TLS, PAGE, 40), "there is thread-local storage"),
    "module": (spoil_module, "there are imports from msvcrt.dll"),
    "entry": (spoil_entry, "the entry point does not call WdfVersionBind"),
    "checksum": (None, "the checksum is"),
}


def spoil(kind, path, copy):
    image = pefile.PE(path)
    change = SPOILED[kind][0]
    if change:
        change(image)
        image.OPTIONAL_HEADER.CheckSum = image.generate_checksum()
    else:
        image.OPTIONAL_HEADER.CheckSum += 1
    image.write(copy)


def main(arguments):
    if arguments[:1] == ["kinds"]:
        for kind, (_, text) in SPOILED.items():
            print(f"{kind}\t{text}")
    elif arguments[:1] == ["spoil"]:
        spoil(*arguments[1:])
    elif arguments[:1] == ["check"]:
        try:
            check(arguments[1])
        except (Wrong, pefile.PEFormatError) as wrong:
            print(f"{arguments[1]}: {wrong}")
            return 1
    else:
        print(__doc__)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
