//! The two ways in which the outcome of a run is shown: a table to read, and JSON to compare.
//!
//! The JSON keeps every record on a line of its own, so that line-based tools can pick the records
//! that they want.

use std::fmt::{self, Write as _};

use crate::ledger::{Checksums, Ledger};
use crate::packet::{FlowKey, Protocol};

/// How many flows the table shows.
const TOP_FLOWS: usize = 10;

/// Everything that a report tells.
#[derive(Debug)]
pub(crate) struct Report {
    /// Name of the capture.
    pub(crate) source: String,
    /// Which engine ran, with how many CPUs.
    pub(crate) engine: String,
    /// What is wrong with the capture file, if anything.
    pub(crate) error: Option<String>,
    /// Frames in the capture that the device was given.
    pub(crate) total: u64,
    /// Frames that were taken off the wire and not accounted for, because the driver was removed.
    pub(crate) dropped: u64,
    /// Frames that were still on the wire when the driver was removed.
    pub(crate) unread: u64,
    /// What the accounting work added up.
    pub(crate) ledger: Ledger,
    /// Named numbers, in groups: the device's and the driver's, the shim's, KMDF's.
    pub(crate) groups: Vec<Group>,
}

/// Named numbers that belong together.
#[derive(Debug)]
pub(crate) struct Group {
    /// What they are about.
    pub(crate) title: &'static str,
    /// The numbers, each with its name.
    pub(crate) numbers: Vec<(&'static str, u64)>,
}

impl Report {
    /// The report as JSON.
    pub(crate) fn json(&self) -> String {
        let mut out = String::from("{\n");
        self.write_json(&mut out)
            .expect("writing to a string does not fail");
        out
    }

    fn write_json(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "\"source\": {},", quoted(&self.source))?;
        writeln!(out, "\"engine\": {},", quoted(&self.engine))?;
        let error = self.error.as_deref().map_or("null".to_owned(), quoted);
        writeln!(out, "\"error\": {error},")?;
        writeln!(
            out,
            "\"frames\":\n{{\"delivered\": {}, \"bytes\": {}, \"dropped_by_remove\": {}, \"unread\": {}, \"total\": {}}},",
            self.ledger.total.packets,
            self.ledger.total.bytes,
            self.dropped,
            self.unread,
            self.total
        )?;
        let verdicts = json_verdicts(self.ledger.ip_header);
        writeln!(
            out,
            "\"ip\":\n{{\"ip_header\": \"checksums\", {verdicts}}},"
        )?;
        let protocols = Protocol::ALL.map(|protocol| {
            let totals = self.ledger.protocol(protocol);
            format!(
                "{{\"protocol\": \"{}\", \"packets\": {}, \"bytes\": {}, {}}}",
                protocol.name(),
                totals.volume.packets,
                totals.volume.bytes,
                json_verdicts(totals.checksums)
            )
        });
        writeln!(out, "\"protocols\": [\n{}\n],", protocols.join(",\n"))?;
        let flows: Vec<_> = self.ledger.flows().iter().map(|(key, volume)| {
            format!(
                "{{\"flow\": {}, \"source\": \"{}\", \"source_port\": {}, \"destination\": \"{}\", \"destination_port\": {}, \"packets\": {}, \"bytes\": {}}}",
                key.protocol, key.source, key.source_port, key.destination, key.destination_port,
                volume.packets, volume.bytes
            )
        }).collect();
        writeln!(out, "\"flows\": [\n{}\n],", flows.join(",\n"))?;
        let groups: Vec<_> = self
            .groups
            .iter()
            .map(|group| {
                let numbers: Vec<_> = group
                    .numbers
                    .iter()
                    .map(|(name, number)| format!("{}: {number}", quoted(name)))
                    .collect();
                format!(
                    "{{\"counters\": {}, {}}}",
                    quoted(group.title),
                    numbers.join(", ")
                )
            })
            .collect();
        writeln!(out, "\"counters\": [\n{}\n]\n}}", groups.join(",\n"))
    }

    fn write_flows(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flows = self.ledger.flows();
        let shown: Vec<_> = flows
            .iter()
            .take(TOP_FLOWS)
            .map(|(key, volume)| (flow(key), volume))
            .collect();
        let width = shown
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or(0)
            .max(40);
        writeln!(
            out,
            "\n  {:<width$} {:>10} {:>12}",
            "flows by bytes", "packets", "bytes"
        )?;
        for (name, volume) in &shown {
            let (packets, bytes) = (grouped(volume.packets), grouped(volume.bytes));
            writeln!(out, "  {name:<width$} {packets:>10} {bytes:>12}")?;
        }
        match flows.len() - shown.len() {
            0 => Ok(()),
            more => writeln!(out, "  … and {} more", grouped(more as u64)),
        }
    }

    fn write_protocols(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "\n  {:<12} {:>10} {:>12}   {:>10} {:>8} {:>10} {:>8}",
            "protocol", "packets", "bytes", "sums: good", "bad", "unverified", "absent"
        )?;
        for protocol in Protocol::ALL {
            let totals = self.ledger.protocol(protocol);
            let (packets, bytes) = (grouped(totals.volume.packets), grouped(totals.volume.bytes));
            write!(
                out,
                "  {:<12} {packets:>10} {bytes:>12}   ",
                protocol.name()
            )?;
            write_verdicts(out, totals.checksums)?;
        }
        write!(out, "  {:<12} {:>10} {:>12}   ", "ipv4 header", "", "")?;
        write_verdicts(out, self.ledger.ip_header)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.ledger.total;
        writeln!(out, "{} — {}", self.source, self.engine)?;
        writeln!(
            out,
            "  {} of {} packets delivered, {} bytes; {} dropped by remove, {} unread",
            grouped(total.packets),
            grouped(self.total),
            grouped(total.bytes),
            grouped(self.dropped),
            grouped(self.unread)
        )?;
        self.write_flows(out)?;
        self.write_protocols(out)?;
        writeln!(out)?;
        let width = self
            .groups
            .iter()
            .map(|group| group.title.len())
            .max()
            .unwrap_or(0);
        for group in &self.groups {
            let numbers: Vec<_> = group
                .numbers
                .iter()
                .map(|&(name, number)| format!("{name} {}", grouped(number)))
                .collect();
            writeln!(out, "  {:<width$}  {}", group.title, numbers.join(", "))?;
        }
        match &self.error {
            Some(error) => writeln!(out, "\n  The capture ends early: {error}."),
            None => Ok(()),
        }
    }
}

fn write_verdicts(out: &mut fmt::Formatter<'_>, sums: Checksums) -> fmt::Result {
    let [good, bad, unverified, absent] =
        [sums.good, sums.bad, sums.unverified, sums.absent].map(grouped);
    writeln!(out, "{good:>10} {bad:>8} {unverified:>10} {absent:>8}")
}

fn json_verdicts(sums: Checksums) -> String {
    format!(
        "\"good\": {}, \"bad\": {}, \"unverified\": {}, \"absent\": {}",
        sums.good, sums.bad, sums.unverified, sums.absent
    )
}

/// A flow as people write it.
fn flow(key: &FlowKey) -> String {
    let protocol = match key.protocol {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        58 => "icmpv6".to_owned(),
        other => format!("protocol {other}"),
    };
    if key.source_port == 0 && key.destination_port == 0 {
        return format!("{protocol} {} → {}", key.source, key.destination);
    }
    let source = std::net::SocketAddr::new(key.source, key.source_port);
    let destination = std::net::SocketAddr::new(key.destination, key.destination_port);
    format!("{protocol} {source} → {destination}")
}

/// `1234567` as `1 234 567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// `text` as a JSON string.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control < ' ' => {
                write!(out, "\\u{:04x}", u32::from(control)).expect("writing to a string");
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        let shown = [0, 12, 123, 1234, 123_456, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "12", "123", "1 234", "123 456", "1 234 567"]);
    }

    #[test]
    fn strings_are_quoted_for_json() {
        assert_eq!(quoted("a\"b\\c\nd→"), "\"a\\\"b\\\\c\\u000ad→\"");
    }

    #[test]
    fn flows_show_ports_only_where_there_are_some() {
        let mut key = FlowKey {
            protocol: 6,
            source: [192, 0, 2, 1].into(),
            source_port: 1025,
            destination: "2001:db8::1".parse().unwrap(),
            destination_port: 80,
        };
        assert_eq!(flow(&key), "tcp 192.0.2.1:1025 → [2001:db8::1]:80");
        (key.protocol, key.source_port, key.destination_port) = (47, 0, 0);
        assert_eq!(flow(&key), "protocol 47 192.0.2.1 → 2001:db8::1");
    }

    #[test]
    fn an_empty_report_is_complete_json() {
        let report = Report {
            source: "none".into(),
            engine: "live".into(),
            error: None,
            total: 0,
            dropped: 0,
            unread: 0,
            ledger: Ledger::default(),
            groups: vec![Group {
                title: "shim",
                numbers: vec![("accepted", 0)],
            }],
        };
        let json = report.json();
        assert!(json.contains("\"error\": null"));
        assert!(json.contains("{\"counters\": \"shim\", \"accepted\": 0}"));
        for (open, close) in [('{', '}'), ('[', ']')] {
            assert_eq!(json.matches(open).count(), json.matches(close).count());
        }
    }
}
