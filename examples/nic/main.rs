//! probe
mod capture;
mod checksum;
mod ledger;
mod packet;
mod report;
fn main() {
    let file = std::fs::read(std::env::args().nth(1).unwrap()).unwrap();
    let (c, e) = capture::read(&file);
    if std::env::var_os("DUMP").is_some() {
        for i in 0..c.len() {
            let a = packet::analyse(c.frame(i));
            println!(
                "{}|{}|{:?}|{:?}",
                i + 1,
                a.protocol.name(),
                a.ip,
                a.transport
            );
        }
        return;
    }
    let mut l = ledger::Ledger::default();
    for i in 0..c.len() {
        l.account(c.frame(i));
    }
    let r = report::Report {
        source: "x".into(),
        engine: "l".into(),
        error: e.map(|e| e.to_string()),
        total: c.len() as u64,
        dropped: 0,
        unread: 0,
        ledger: l,
        groups: vec![],
    };
    if std::env::args().nth(2).is_some() {
        print!("{}", r.json())
    } else {
        print!("{r}")
    }
}
