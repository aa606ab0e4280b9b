//! Call records as CSV (RFC 4180), for spreadsheets.
//!
//! A cell whose text a spreadsheet would take for a formula begins with `'`: names and what was dialled are strangers'
//! words.

use super::event::{Direction, Ender};
use super::quality::MediaPath;
use super::record::{CallRecord, CallResult};

/// What each column holds, with its line break.
pub const CSV_HEADER: &str = "call,line,direction,result,started_ms,answered_ms,ended_ms,talked_s,person,name,username,phone,dialled,extension,ended_by,cause,sip_status,q850,telegram_codec,pbx_codec,telegram_lost,pbx_lost,round_trip_ms,mos,telegram_call,ringing_ms,taken_by,diverted_from,sip_call_id,emoji,path,pbx_number,pbx_name\r\n";

impl CallRecord {
    /// The record as one row in the order of [`CSV_HEADER`], with its line break. Times are milliseconds since 1970
    /// (UTC), `talked_s` is from answer to end, `mos` the worse leg's at the end, 1.00 to 5.00.
    pub fn to_csv(&self) -> String {
        let Self { peer, end, quality, .. } = self;
        let talked_s = self.answered_ms.zip(self.ended_ms).map(|(from, to)| to.saturating_sub(from) / 1_000);
        let legs = quality.as_deref().map(|quality| [&quality.telegram, &quality.pbx]);
        let mos = legs.and_then(|legs| legs.iter().filter_map(|leg| leg.mos_hundredths).min());
        let cells = [
            self.call.to_string(),
            self.line.to_string(),
            self.direction.as_str().to_owned(),
            self.result.as_str().to_owned(),
            self.started_ms.to_string(),
            shown(self.answered_ms),
            shown(self.ended_ms),
            shown(talked_s),
            shown(peer.id),
            text(peer.name.as_deref()),
            text(peer.username.as_deref()),
            text(peer.phone.as_deref()),
            text(self.dialled.as_deref()),
            text(self.extension.as_deref()),
            end.as_ref().map_or("", |end| end.by.as_str()).to_owned(),
            text(end.as_ref().map(|end| end.cause.as_str())),
            shown(end.as_ref().and_then(|end| end.sip_status)),
            shown(end.as_ref().and_then(|end| end.q850)),
            text(legs.map(|[telegram, _]| telegram.codec.as_str())),
            text(legs.map(|[_, pbx]| pbx.codec.as_str())),
            shown(legs.map(|[telegram, _]| telegram.lost)),
            shown(legs.map(|[_, pbx]| pbx.lost)),
            shown(legs.and_then(|[telegram, _]| telegram.round_trip_ms)),
            mos.map(|mos| format!("{}.{:02}", mos / 100, mos % 100)).unwrap_or_default(),
            // Wider than the 15 digits that spreadsheets keep.
            shown(self.telegram_call.map(|call| format!("'{call}"))),
            shown(self.ringing_ms),
            text(self.trunk.taken_by.as_deref()),
            text(self.pbx.as_ref().and_then(|side| side.last_diverter.as_deref())),
            text(self.trunk.sip_call_id.as_deref()),
            text(self.emoji.as_deref()),
            text(legs.and_then(|[telegram, _]| telegram.path).map(MediaPath::as_str)),
            text(self.pbx.as_ref().and_then(|side| side.number.as_deref())),
            text(self.pbx.as_ref().and_then(|side| side.name.as_deref())),
        ];
        let mut row = cells.join(",");
        row.push_str("\r\n");
        row
    }
}

impl Direction {
    /// The word for it in JSON and CSV.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TelegramToPbx => "telegram-to-pbx",
            Self::PbxToTelegram => "pbx-to-telegram",
        }
    }
}

impl Ender {
    /// The word for it in JSON and CSV.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Telegram => "telegram",
            Self::Pbx => "pbx",
            Self::Gateway => "gateway",
        }
    }
}

impl CallResult {
    /// The word for it in JSON and CSV.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Answered => "answered",
            Self::Missed => "missed",
            Self::Elsewhere => "elsewhere",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

fn shown(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A stranger's words as a cell.
fn text(words: Option<&str>) -> String {
    let words = words.unwrap_or_default();
    let is_number = words.strip_prefix('+').is_some_and(|digits| digits.bytes().all(|d| d.is_ascii_digit()));
    let guard = if words.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number { "'" } else { "" };
    let words = format!("{guard}{words}");
    if words.contains([',', '"', '\r', '\n', ';']) {
        format!("\"{}\"", words.replace('"', "\"\""))
    } else {
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{CallEnd, PbxSide, Peer, Quality, TrunkEnd};
    use crate::units::{CallId, UserId};

    #[test]
    fn a_row_has_a_cell_for_every_column() {
        let row = record(Some("Анна")).to_csv();
        assert_eq!(
            row,
            "00000000000000a1,+79060000000,telegram-to-pbx,answered,1000,2000,65000,63,5123456789,Анна,anna,+79061112233,,2001,pbx,normal call clearing,,16,opus,PCMA,0,7,38,3.90,'-7000000000000000001,1500,204,\"'=1;2\",b7@192.0.2.1,🦊🌲🎈🍋,reflector,101,Ольга\r\n"
        );
        assert_eq!(row.matches(',').count(), CSV_HEADER.matches(',').count());
    }

    #[test]
    fn a_strangers_words_are_no_formula_and_break_no_row() {
        for (name, cell) in [
            ("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
            ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
            ("-2", "'-2"),
            ("@SUM(1)", "'@SUM(1)"),
            ("\tx", "'\tx"),
            ("two\nlines", "\"two\nlines\""),
            ("a;b", "\"a;b\""),
            ("O'Neil \u{202e}🦊", "O'Neil \u{202e}🦊"),
            ("+79061112233", "+79061112233"),
        ] {
            let row = record(Some(name)).to_csv();
            assert!(row.contains(&format!(",5123456789,{cell},anna,")), "{row}");
        }
        assert!(record(None).to_csv().contains(",5123456789,,anna,"));
    }

    #[test]
    fn the_words_are_those_of_json() {
        let json = |value: serde_json::Value| value.as_str().unwrap().to_owned();
        for word in [Direction::TelegramToPbx, Direction::PbxToTelegram] {
            assert_eq!(json(serde_json::to_value(word).unwrap()), word.as_str());
        }
        for word in [Ender::Telegram, Ender::Pbx, Ender::Gateway] {
            assert_eq!(json(serde_json::to_value(word).unwrap()), word.as_str());
        }
        for word in [
            CallResult::Running,
            CallResult::Answered,
            CallResult::Missed,
            CallResult::Elsewhere,
            CallResult::Busy,
            CallResult::Failed,
            CallResult::Interrupted,
        ] {
            assert_eq!(json(serde_json::to_value(word).unwrap()), word.as_str());
        }
    }

    fn record(name: Option<&str>) -> CallRecord {
        let mut quality: Quality = serde_json::from_value(serde_json::json!({
            "telegram": {"codec": "opus", "ptime_ms": 20, "packets_in": 1, "packets_out": 1, "lost": 0, "reordered": 0,
                "jitter_ms": 1, "round_trip_ms": 38, "concealed_permille": 0, "mos_hundredths": 431,
                "path": "reflector"},
            "pbx": {"codec": "PCMA", "ptime_ms": 20, "packets_in": 1, "packets_out": 1, "lost": 7, "reordered": 0,
                "jitter_ms": 1, "concealed_permille": 0},
        }))
        .unwrap();
        quality.pbx.mos_hundredths = Some(390);
        CallRecord {
            call: CallId(0xa1),
            line: "+79060000000".parse().unwrap(),
            direction: Direction::TelegramToPbx,
            peer: Peer {
                id: UserId::new(5_123_456_789).ok(),
                name: name.map(ToOwned::to_owned),
                username: Some("anna".into()),
                phone: Some("+79061112233".into()),
            },
            dialled: None,
            extension: Some("2001".into()),
            telegram_call: Some(-7_000_000_000_000_000_001),
            emoji: Some("🦊🌲🎈🍋".into()),
            trunk: TrunkEnd { sip_call_id: Some("b7@192.0.2.1".into()), taken_by: Some("204".into()) },
            ringing_ms: Some(1_500),
            recording: None,
            started_ms: 1_000,
            answered_ms: Some(2_000),
            ended_ms: Some(65_000),
            result: CallResult::Answered,
            end: Some(CallEnd {
                by: Ender::Pbx,
                cause: "normal call clearing".into(),
                sip_status: None,
                q850: Some(16),
            }),
            quality: Some(Box::new(quality)),
            mos_tenths: vec![39],
            pbx: Some(Box::new(PbxSide {
                number: Some("101".into()),
                name: Some("Ольга".into()),
                last_diverter: Some("=1;2".into()),
                ..PbxSide::default()
            })),
        }
    }
}
