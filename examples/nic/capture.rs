//! Reads a pcap or pcapng file into memory.
//!
//! Whatever was read before an error stays usable: [`read`] returns both the frames and the error,
//! so that a truncated file is accounted for up to the place where it breaks off.

use std::fmt;

use pcap_parser::pcapng::Block;
use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Linktype, PcapBlockOwned, PcapError, create_reader};

/// The largest frame that a capture tool writes: the snap length that tcpdump and Wireshark use
/// for "whole frames". A record that claims more is damaged.
const FRAME_BYTES_MAX: usize = 262_144;

/// One frame of a capture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    /// The bytes that were captured, from the destination address on.
    pub(crate) data: &'a [u8],
    /// The length the frame had on the wire.
    pub(crate) wire_bytes: u32,
}

/// The frames of a capture file.
#[derive(Debug, Default)]
pub(crate) struct Capture {
    /// Captured bytes of all frames, one after the other.
    data: Vec<u8>,
    /// Per frame: end of its bytes in `data`, and its length on the wire.
    frames: Vec<(usize, u32)>,
}

impl Capture {
    /// How many frames there are.
    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    /// Frame `index`, counted from zero.
    pub(crate) fn frame(&self, index: usize) -> Frame<'_> {
        let start = index
            .checked_sub(1)
            .map_or(0, |before| self.frames[before].0);
        let (end, wire_bytes) = self.frames[index];
        Frame {
            data: &self.data[start..end],
            wire_bytes,
        }
    }

    /// Keeps the first `count` frames only.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.frames.truncate(count);
    }

    fn push(&mut self, data: &[u8], wire_bytes: u32) {
        self.data.extend_from_slice(data);
        self.frames.push((self.data.len(), wire_bytes));
    }
}

/// What is wrong with a capture file, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CaptureError {
    /// What is wrong.
    pub(crate) fault: Fault,
    /// Offset in the file of the header or record that is wrong.
    pub(crate) offset: usize,
    /// Frames that were read before.
    pub(crate) frames: usize,
}

/// The ways in which a file can be no capture, or a broken one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The file has no bytes.
    Empty,
    /// The first bytes belong to no capture format.
    Foreign(Vec<u8>),
    /// The file ends inside its header or inside a record; `missing` bytes at least are not there.
    Truncated {
        /// What the file ends inside of.
        inside: &'static str,
        /// Bytes that are there, from `offset` on.
        present: usize,
    },
    /// A record contradicts its format.
    Malformed,
    /// The frames are not Ethernet.
    LinkType(i32),
    /// A packet block names an interface that no block describes.
    Interface(u32),
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            Fault::Empty => return write!(f, "the file is empty"),
            Fault::Foreign(start) => {
                write!(f, "neither pcap nor pcapng: it starts with")?;
                start.iter().try_for_each(|byte| write!(f, " {byte:02x}"))?;
                let gzip = start.starts_with(&[0x1f, 0x8b]);
                return f.write_str(if gzip { " (gzip; unpack it first)" } else { "" });
            }
            Fault::Truncated { inside, present } => {
                write!(
                    f,
                    "truncated: the file ends {present} bytes into the {inside}"
                )?;
            }
            Fault::Malformed => write!(f, "malformed record")?,
            Fault::LinkType(link) => {
                write!(f, "link type {link} where only Ethernet (1) is known")?;
            }
            Fault::Interface(id) => write!(f, "packet of interface {id}, which is not described")?,
        }
        write!(f, " at byte {}, after {} frames", self.offset, self.frames)
    }
}

/// Reads all frames of the capture file in `file`, up to its end or its first error.
pub(crate) fn read(file: &[u8]) -> (Capture, Option<CaptureError>) {
    let mut capture = Capture::default();
    let mut offset = 0;
    let fault = read_blocks(file, &mut capture, &mut offset).err();
    let frames = capture.len();
    (
        capture,
        fault.map(|fault| CaptureError {
            fault,
            offset,
            frames,
        }),
    )
}

/// The body of [`read`]: leaves in `offset` where the block starts that an error is about.
fn read_blocks(file: &[u8], capture: &mut Capture, offset: &mut usize) -> Result<(), Fault> {
    if file.is_empty() {
        return Err(Fault::Empty);
    }
    // The buffer holds the whole file and more, so the reader never asks for a refill but the
    // one that tells it that there is nothing more to read.
    let mut reader = create_reader(file.len() + 4096, file).map_err(|error| start(&error, file))?;
    let _ = reader.refill();
    let mut links = Links::default();
    while *offset < file.len() {
        let rest = &file[*offset..];
        let size = match reader.next() {
            Ok((size, block)) => {
                take(block, &mut links, capture)?;
                size
            }
            Err(error) => return Err(broken(&error, rest)),
        };
        reader.consume(size);
        *offset += size;
    }
    Ok(())
}

/// Link type per interface of the current section; a pcap file has exactly one.
#[derive(Default)]
struct Links(Vec<Linktype>);

/// Adds what one block says to the capture.
fn take(block: PcapBlockOwned<'_>, links: &mut Links, capture: &mut Capture) -> Result<(), Fault> {
    match block {
        PcapBlockOwned::LegacyHeader(header) => links.0.push(header.network),
        PcapBlockOwned::Legacy(frame) => {
            links.check(0)?;
            if frame.data.len() > FRAME_BYTES_MAX {
                return Err(Fault::Malformed);
            }
            capture.push(frame.data, frame.origlen);
        }
        PcapBlockOwned::NG(Block::SectionHeader(_)) => links.0.clear(),
        PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
            links.0.push(interface.linktype);
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(frame)) => {
            links.check(frame.if_id)?;
            capture.push(frame.packet_data(), frame.origlen);
        }
        PcapBlockOwned::NG(Block::SimplePacket(frame)) => {
            links.check(0)?;
            capture.push(frame.packet_data(), frame.origlen);
        }
        // Statistics, names, secrets and what other tools add: nothing to account for.
        PcapBlockOwned::NG(_) => {}
    }
    Ok(())
}

impl Links {
    /// Refuses a frame of interface `id` unless that interface is Ethernet.
    fn check(&self, id: u32) -> Result<(), Fault> {
        match self.0.get(id as usize) {
            Some(&Linktype::ETHERNET) => Ok(()),
            Some(&Linktype(link)) => Err(Fault::LinkType(link)),
            None => Err(Fault::Interface(id)),
        }
    }
}

/// Why the beginning of `file` is not that of a capture.
fn start(error: &PcapError<&[u8]>, file: &[u8]) -> Fault {
    match error {
        PcapError::Incomplete(_) | PcapError::UnexpectedEof => Fault::Truncated {
            inside: "file header",
            present: file.len(),
        },
        PcapError::Eof
        | PcapError::BufferTooSmall
        | PcapError::ReadError
        | PcapError::HeaderNotRecognized
        | PcapError::NomError(..)
        | PcapError::OwnedNomError(..) => Fault::Foreign(file[..file.len().min(4)].to_vec()),
    }
}

/// Why the record that `rest` starts with cannot be read.
fn broken(error: &PcapError<&[u8]>, rest: &[u8]) -> Fault {
    match error {
        PcapError::Eof
        | PcapError::BufferTooSmall
        | PcapError::UnexpectedEof
        | PcapError::Incomplete(_)
            if rest.len() <= FRAME_BYTES_MAX =>
        {
            Fault::Truncated {
                inside: "record",
                present: rest.len(),
            }
        }
        PcapError::Eof
        | PcapError::BufferTooSmall
        | PcapError::UnexpectedEof
        | PcapError::Incomplete(_)
        | PcapError::ReadError
        | PcapError::HeaderNotRecognized
        | PcapError::NomError(..)
        | PcapError::OwnedNomError(..) => Fault::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pcap file: the header for `link`, then a record per frame.
    fn pcap(link: u32, frames: &[&[u8]]) -> Vec<u8> {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, link] {
            file.extend_from_slice(&u32::to_le_bytes(word));
        }
        for frame in frames {
            let length = u32::try_from(frame.len()).unwrap();
            for word in [0, 0, length, length + 1] {
                file.extend_from_slice(&u32::to_le_bytes(word));
            }
            file.extend_from_slice(frame);
        }
        file
    }

    /// A pcapng block of `kind` around `body`.
    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 12).unwrap();
        let mut block = [kind.to_le_bytes(), length.to_le_bytes()].concat();
        block.extend_from_slice(body);
        block.extend_from_slice(&length.to_le_bytes());
        block
    }

    /// A pcapng file with one interface of `link` and one frame of that `interface`.
    fn pcapng(link: u16, interface: u32, frame: &[u8]) -> Vec<u8> {
        let mut section = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
        section.extend_from_slice(&[1, 0, 0, 0]);
        section.extend_from_slice(&u64::MAX.to_le_bytes());
        let mut description = link.to_le_bytes().to_vec();
        description.extend_from_slice(&[0, 0, 0xff, 0xff, 0, 0]);
        let length = u32::try_from(frame.len()).unwrap();
        let mut packet = Vec::new();
        for word in [interface, 0, 0, length, length] {
            packet.extend_from_slice(&word.to_le_bytes());
        }
        packet.extend_from_slice(frame);
        packet.resize(packet.len().next_multiple_of(4), 0);
        [
            block(0x0a0d_0d0a, &section),
            block(1, &description),
            block(6, &packet),
        ]
        .concat()
    }

    #[test]
    fn pcap_frames_come_back_whole_and_in_order() {
        let (capture, error) = read(&pcap(1, &[b"first", b"", b"third!"]));
        assert_eq!(error, None);
        assert_eq!(capture.len(), 3);
        let frames: Vec<_> = (0..3)
            .map(|i| capture.frame(i))
            .map(|f| (f.data, f.wire_bytes))
            .collect();
        assert_eq!(frames, [(&b"first"[..], 6), (b"", 1), (b"third!", 7)]);
    }

    #[test]
    fn pcapng_frames_come_back_without_their_padding() {
        let (capture, error) = read(&pcapng(1, 0, b"frame"));
        assert_eq!(error, None);
        assert_eq!(capture.len(), 1);
        assert_eq!(
            (capture.frame(0).data, capture.frame(0).wire_bytes),
            (&b"frame"[..], 5)
        );
    }

    #[test]
    fn every_truncation_keeps_the_frames_before_it_and_says_where() {
        let frames: [&[u8]; 2] = [b"first", b"second"];
        let file = pcap(1, &frames);
        let ends = [24, 24 + 16 + 5, file.len()];
        for length in 1..file.len() {
            let (capture, error) = read(&file[..length]);
            let whole = ends.iter().filter(|&&end| end <= length).count();
            assert_eq!(capture.len(), whole.saturating_sub(1), "{length} bytes");
            if ends.contains(&length) {
                assert_eq!(error, None, "{length} bytes end between records");
                continue;
            }
            let error = error.expect("a cut record is an error");
            let offset = if whole == 0 { 0 } else { ends[whole - 1] };
            assert_eq!(error.offset, offset, "{length} bytes");
            assert_eq!(error.frames, capture.len());
            let place = format!("at byte {offset}, after {} frames", capture.len());
            let text = error.to_string();
            assert!(
                text.starts_with("truncated: ") && text.ends_with(&place),
                "{text}"
            );
        }
    }

    #[test]
    fn truncated_pcapng_is_named_at_every_length() {
        let file = pcapng(1, 0, b"frame");
        for length in 1..file.len() {
            let (capture, error) = read(&file[..length]);
            assert_eq!(capture.len(), 0);
            // A cut exactly between two blocks is a shorter, valid file.
            let between = length == 28 || length == 28 + 20;
            assert_eq!(error.is_none(), between, "{length} bytes: {error:?}");
        }
    }

    #[test]
    fn foreign_files_are_named_with_their_first_bytes() {
        let (_, error) = read(b"\x7fELF and so on, long enough for a header");
        let error = error.expect("an ELF file is no capture");
        assert_eq!(error.fault, Fault::Foreign(b"\x7fELF".to_vec()));
        assert_eq!(
            error.to_string(),
            "neither pcap nor pcapng: it starts with 7f 45 4c 46"
        );
        assert_eq!(read(b"").1.map(|error| error.fault), Some(Fault::Empty));
    }

    #[test]
    fn other_link_types_and_unknown_interfaces_are_refused() {
        let (_, error) = read(&pcap(113, &[b"cooked"]));
        assert_eq!(
            error.map(|error| (error.fault, error.offset)),
            Some((Fault::LinkType(113), 24))
        );
        let (_, error) = read(&pcapng(101, 0, b"frame"));
        assert_eq!(error.map(|error| error.fault), Some(Fault::LinkType(101)));
        let (_, error) = read(&pcapng(1, 7, b"frame"));
        assert_eq!(error.map(|error| error.fault), Some(Fault::Interface(7)));
    }

    #[test]
    fn a_record_that_claims_too_much_is_malformed_and_not_just_truncated() {
        let mut file = pcap(1, &[b"first"]);
        let damaged = file.len();
        file.extend_from_slice(&[0xff; 16]);
        file.resize(damaged + FRAME_BYTES_MAX + 100, 0);
        let (capture, error) = read(&file);
        assert_eq!(capture.len(), 1);
        assert_eq!(
            error,
            Some(CaptureError {
                fault: Fault::Malformed,
                offset: damaged,
                frames: 1
            })
        );
    }
}
