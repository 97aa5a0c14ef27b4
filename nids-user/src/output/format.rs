//! What an output makes of a record: one of the formats, in an envelope where its receiver wants one.

use super::console::Console;
use super::eve::Eve;
use super::fast::Fast;
use super::pcapng::PcapNg;
use super::record::Record;
use super::settings::{FileType, OutputSettings, Server};
use super::syslog::Syslog;
use super::{EveType, SinkKind};

/// A format.
#[derive(Debug)]
pub(super) enum Format {
    Console(Console),
    Fast(Fast),
    Eve(Box<Eve>, Option<Box<Syslog>>),
    Pcap(PcapNg),
}

impl Format {
    pub(super) fn new(settings: &OutputSettings, community_id: Option<u16>, colour: bool) -> Self {
        match settings.kind {
            SinkKind::Console => Self::Console(Console::new(colour)),
            SinkKind::Fast => Self::Fast(Fast::new()),
            SinkKind::Pcap => Self::Pcap(PcapNg::default()),
            SinkKind::Eve => {
                let syslog = (settings.file_type == FileType::Syslog).then(|| {
                    let one = &settings.syslog;
                    let framing = matches!(one.server, Server::Tcp(_)).then_some(one.framing);
                    Box::new(Syslog::new(one.facility, one.severity, &one.identity, framing))
                });
                Self::Eve(Box::new(Eve::new(settings.eve.clone(), community_id)), syslog)
            }
        }
    }

    /// Whether it is of a type for this output.
    pub(super) fn takes(&self, record: &Record) -> bool {
        match (self, record) {
            (Self::Pcap(_), record) => matches!(record, Record::Captured(_)),
            (_, Record::Captured(_)) => false,
            (Self::Console(_) | Self::Fast(_), record) => matches!(record, Record::Alert(_)),
            (Self::Eve(eve, _), record) => eve.takes(record),
        }
    }

    /// Appends the record, where it is one to take.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, record: &Record) {
        match (self, record) {
            (Self::Console(console), Record::Alert(alert)) => console.write(out, alert),
            (Self::Fast(fast), Record::Alert(alert)) => fast.write(out, alert),
            (Self::Pcap(pcap), Record::Captured(packet)) => pcap.write(out, packet),
            (Self::Eve(eve, syslog), record) => {
                let start = out.len();
                eve.write(out, record);
                if let (Some(syslog), Some(one)) = (syslog, record.eve_type()) {
                    syslog.wrap(out, start, record.time(), EveType::name(one));
                }
            }
            (Self::Console(_) | Self::Fast(_) | Self::Pcap(_), _) => {}
        }
    }

    /// Appends what a file begins with.
    pub(super) fn begin(&self, out: &mut Vec<u8>) {
        if let Self::Pcap(pcap) = self {
            pcap.begin(out);
        }
    }

    /// Something that was written will not arrive.
    pub(super) fn lost(&mut self) {
        if let Self::Pcap(pcap) = self {
            pcap.lost();
        }
    }
}
