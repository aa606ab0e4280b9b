//! Why a call ends: one table for both sides, in numbers that either understands.
//!
//! A [`Row`] says how a cause is put to the PBX (final status of RFC 3261, Reason of RFC 3326 with a Q.850 number) and
//! to Telegram. The three `of_` functions find the cause that a side's own words mean.

/// Seconds that a PBX is asked to stay away after Telegram called the account's traffic spam.
const PEER_FLOOD_RETRY_S: u32 = 3600;

/// Seconds that a PBX is asked to stay away while there is more to do than the gateway can, or a line may.
const OVERLOAD_RETRY_S: u32 = 2;

/// Why a call ended or never came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// An answered call was hung up.
    Normal,
    /// The caller gave up before the answer.
    GivenUp,
    /// Somebody else took it, on another device or phone.
    AnsweredElsewhere,
    /// The callee is busy; Telegram's apps decline with this too.
    Busy,
    /// Nobody answered in time.
    NoAnswer,
    /// The callee refused.
    Declined,
    /// The far side lost the call.
    Disconnected,
    /// The callee's privacy settings forbid it.
    Privacy,
    /// One of the two blocked the other.
    Blocked,
    /// The callee's account is no more.
    Deactivated,
    /// Nobody has that number or name.
    NotFound,
    /// What was dialled is neither number nor name.
    BadNumber,
    /// Both sides have no protocol or codec in common.
    Incompatible,
    /// Telegram wants no calls from this account for a while.
    Flood {
        /// Seconds that it named.
        wait_s: u32,
    },
    /// Telegram took the account's calls for spam.
    PeerFlood,
    /// The line has approached as many strangers as it may in a day.
    Strangers {
        /// Seconds until the next day.
        wait_s: u32,
    },
    /// The line's lists do not let these two talk.
    NotAllowed,
    /// The line has as many calls of this direction as it may have in a minute.
    TooOften {
        /// Seconds until there is room.
        wait_s: u32,
    },
    /// The line has as many calls to Telegram as it may have in an hour.
    TooManyInHour {
        /// Seconds until there is room.
        wait_s: u32,
    },
    /// The line's calls to Telegram have lasted as long as they may in a day.
    MinutesUsed {
        /// Seconds until the next day.
        wait_s: u32,
    },
    /// The line calls nobody at this hour.
    QuietHours {
        /// Seconds until it does.
        wait_s: u32,
    },
    /// The line takes no calls at this hour.
    OutsideHours,
    /// The line is not connected to Telegram, or no longer authorized.
    LineDown,
    /// The line has as many calls as it may have.
    LineFull,
    /// Answered, but sound never came to flow.
    NoMedia,
    /// Sound flowed, and is lost.
    MediaLost,
    /// The PBX does not answer at all.
    TrunkDead,
    /// The PBX refused the call for a reason of its own.
    TrunkRefused {
        /// Its final status.
        status: u16,
    },
    /// There is more to do than the gateway can.
    Overloaded,
    /// The gateway stops.
    Stopping,
    /// Our own fault, or an error that nobody has met yet.
    Internal,
}

/// What Telegram is told at the end of a call, and tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// Given up or not answered.
    Missed,
    /// Broken.
    Disconnect,
    /// Hung up.
    Hangup,
    /// Busy, or declined.
    Busy,
}

/// How one cause is put to both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Final status of an unanswered call from the PBX (RFC 3261 section 21).
    pub status: u16,
    /// Its phrase.
    pub phrase: &'static str,
    /// Number of the Reason header (ITU-T Q.850 table 1), on a final status, CANCEL or BYE.
    pub q850: u8,
    /// Its name there, or what it means here.
    pub q850_text: &'static str,
    /// Seconds for Retry-After.
    pub retry_after_s: Option<u32>,
    /// What Telegram is told.
    pub discard: Discard,
}

impl Cause {
    /// What it is in a few words, for people who read records of calls.
    pub fn words(self) -> &'static str {
        match self {
            Self::GivenUp => "The caller gave up",
            Self::AnsweredElsewhere => "Answered elsewhere",
            Self::Disconnected => "The other side lost the call",
            Self::Privacy => "Forbidden by privacy settings",
            Self::Blocked => "Blocked",
            Self::Deactivated => "The account is deleted",
            Self::NotFound => "Not found at Telegram",
            Self::Flood { .. } => "Telegram wants no calls for a while",
            Self::PeerFlood => "Telegram took calls to strangers for spam",
            Self::LineDown => "The line is not connected to Telegram",
            Self::LineFull => "The line has as many calls as it may have",
            Self::NoMedia => "Answered, but no sound came",
            Self::MediaLost => "Sound was lost",
            Self::TrunkDead => "The PBX does not answer",
            Self::TrunkRefused { .. } => "Refused by the PBX",
            Self::Overloaded => "Too many calls at once",
            Self::Stopping => "The gateway stopped",
            Self::Normal
            | Self::Busy
            | Self::NoAnswer
            | Self::Declined
            | Self::BadNumber
            | Self::Incompatible
            | Self::Strangers { .. }
            | Self::NotAllowed
            | Self::TooOften { .. }
            | Self::TooManyInHour { .. }
            | Self::MinutesUsed { .. }
            | Self::QuietHours { .. }
            | Self::OutsideHours
            | Self::Internal => self.row().q850_text,
        }
    }

    /// The row of the table.
    pub fn row(self) -> Row {
        use Discard::{Busy, Disconnect, Hangup, Missed};
        match self {
            Self::Normal => row(480, "Temporarily Unavailable", 16, Hangup),
            Self::GivenUp => row(487, "Request Terminated", 16, Missed),
            Self::AnsweredElsewhere => row(487, "Request Terminated", 26, Hangup),
            Self::Busy => row(486, "Busy Here", 17, Busy),
            Self::NoAnswer => row(480, "Temporarily Unavailable", 19, Missed),
            Self::Declined => row(603, "Decline", 21, Busy),
            Self::Disconnected => row(503, "Service Unavailable", 41, Disconnect),
            Self::Privacy => row(403, "Forbidden", 21, Disconnect),
            Self::Blocked => row(403, "Forbidden", 21, Disconnect),
            Self::Deactivated => row(410, "Gone", 22, Disconnect),
            Self::NotFound => row(404, "Not Found", 1, Disconnect),
            Self::BadNumber => row(484, "Address Incomplete", 28, Disconnect),
            Self::Incompatible => row(488, "Not Acceptable Here", 88, Disconnect),
            Self::Flood { wait_s } => {
                row(503, "Service Unavailable", 42, Disconnect).retry_after(wait_s.saturating_add(1))
            }
            Self::PeerFlood => {
                row(503, "Service Unavailable", 42, Disconnect).retry_after(PEER_FLOOD_RETRY_S)
            }
            Self::Strangers { wait_s } => Row {
                q850_text: "Daily limit of strangers reached",
                ..row(503, "Service Unavailable", 42, Disconnect).retry_after(wait_s.saturating_add(1))
            },
            Self::NotAllowed => {
                Row { q850_text: "Not allowed by the line's lists", ..row(403, "Forbidden", 21, Busy) }
            }
            Self::TooOften { wait_s } => Row {
                q850_text: "Too many calls in a minute",
                ..row(503, "Service Unavailable", 42, Busy).retry_after(wait_s.max(1))
            },
            Self::TooManyInHour { wait_s } => Row {
                q850_text: "Too many calls in an hour",
                ..row(503, "Service Unavailable", 42, Busy).retry_after(wait_s.max(1))
            },
            Self::MinutesUsed { wait_s } => Row {
                q850_text: "The minutes of the day are used up",
                ..row(503, "Service Unavailable", 42, Busy).retry_after(wait_s.saturating_add(1))
            },
            Self::QuietHours { wait_s } => Row {
                q850_text: "Quiet hours of the line",
                ..row(480, "Temporarily Unavailable", 21, Busy).retry_after(wait_s.max(1))
            },
            Self::OutsideHours => {
                Row { q850_text: "Outside the line's hours", ..row(480, "Temporarily Unavailable", 21, Busy) }
            }
            Self::LineDown => row(503, "Service Unavailable", 38, Disconnect),
            Self::LineFull => row(503, "Service Unavailable", 34, Busy).retry_after(OVERLOAD_RETRY_S),
            Self::NoMedia => row(504, "Server Time-out", 102, Disconnect),
            Self::MediaLost => row(503, "Service Unavailable", 41, Disconnect),
            Self::TrunkDead => row(503, "Service Unavailable", 27, Disconnect),
            Self::TrunkRefused { .. } => row(503, "Service Unavailable", 41, Disconnect),
            Self::Overloaded => row(503, "Service Unavailable", 42, Busy).retry_after(OVERLOAD_RETRY_S),
            Self::Stopping => row(503, "Service Unavailable", 41, Hangup),
            Self::Internal => row(500, "Server Internal Error", 41, Disconnect),
        }
    }

    /// What a Telegram leg's end means. `None` is an end without a reason, or a move to a conference.
    pub fn of_discard(reason: Option<Discard>) -> Self {
        match reason {
            Some(Discard::Missed) => Self::NoAnswer,
            Some(Discard::Disconnect) => Self::Disconnected,
            Some(Discard::Hangup) => Self::Declined,
            Some(Discard::Busy) => Self::Busy,
            None => Self::Normal,
        }
    }

    /// What an error of Telegram means when a call is set up.
    ///
    /// The seconds of a flood wait may stand in the name (`FLOOD_WAIT_30`) or in `value`.
    pub fn of_telegram_error(name: &str, value: Option<u32>) -> Self {
        let (name, value) = match name.rsplit_once('_') {
            Some((stem, digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                (stem, digits.parse().ok().or(value))
            }
            _ => (name, value),
        };
        match name {
            "USER_PRIVACY_RESTRICTED" | "USER_NOT_MUTUAL_CONTACT" => Self::Privacy,
            "USER_IS_BLOCKED" | "YOU_BLOCKED_USER" => Self::Blocked,
            "INPUT_USER_DEACTIVATED" => Self::Deactivated,
            "USERNAME_NOT_OCCUPIED"
            | "USERNAME_INVALID"
            | "PHONE_NOT_OCCUPIED"
            | "PHONE_NUMBER_INVALID"
            | "USER_ID_INVALID"
            | "PEER_ID_INVALID" => Self::NotFound,
            "PARTICIPANT_VERSION_OUTDATED" => Self::Incompatible,
            name if name.starts_with("CALL_PROTOCOL_") => Self::Incompatible,
            // Without a number Telegram's usual half minute is the safer guess.
            "FLOOD_WAIT" | "FLOOD_PREMIUM_WAIT" => Self::Flood { wait_s: value.unwrap_or(30) },
            "PEER_FLOOD" => Self::PeerFlood,
            "SESSION_REVOKED"
            | "SESSION_EXPIRED"
            | "USER_DEACTIVATED"
            | "USER_DEACTIVATED_BAN"
            | "ACTIVE_USER_REQUIRED"
            | "UNAUTHORIZED" => Self::LineDown,
            name if name.starts_with("AUTH_KEY_") => Self::LineDown,
            "CALL_ALREADY_ACCEPTED" => Self::AnsweredElsewhere,
            "CALL_ALREADY_DECLINED" => Self::GivenUp,
            "CALL_PEER_INVALID" | "CALL_NOT_ACTIVE" | "CALL_OCCUPY_FAILED" => Self::Disconnected,
            _ => Self::Internal,
        }
    }

    /// What the final status of the PBX means for the Telegram caller, 300 to 699.
    pub fn of_status(status: u16) -> Self {
        match status {
            486 | 600 => Self::Busy,
            603 | 607 | 608 => Self::Declined,
            // A redirection is not followed.
            300..=399 | 480 | 408 | 487 => Self::NoAnswer,
            404 | 604 => Self::NotFound,
            410 => Self::Deactivated,
            484 => Self::BadNumber,
            488 | 606 => Self::Incompatible,
            status => Self::TrunkRefused { status },
        }
    }

    /// What the Reason of a CANCEL or BYE from the PBX means, by its Q.850 number.
    pub fn of_reason(q850: Option<u8>) -> Self {
        match q850 {
            Some(26) => Self::AnsweredElsewhere,
            _ => Self::Normal,
        }
    }

    /// Whether a callee who was reached did not want the call, or was not there.
    pub(crate) fn is_of_callee(self) -> bool {
        matches!(self, Self::Busy | Self::NoAnswer | Self::Declined | Self::AnsweredElsewhere)
    }

    /// The same, once it is clear that an answered call ended so.
    pub(crate) fn after_answer(self) -> Self {
        let personal = matches!(self, Self::Busy | Self::NoAnswer | Self::Declined | Self::GivenUp);
        if personal { Self::Normal } else { self }
    }

    /// The same, once it is clear that the caller ended the call before the answer.
    pub(crate) fn by_caller(self) -> Self {
        let personal = matches!(self, Self::Normal | Self::Busy | Self::NoAnswer | Self::Declined);
        if personal { Self::GivenUp } else { self }
    }

    /// The same, once it is clear that the callee ended the call before the answer.
    pub(crate) fn by_callee(self) -> Self {
        if self == Self::Normal { Self::Declined } else { self }
    }
}

impl Row {
    fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }
}

fn row(status: u16, phrase: &'static str, q850: u8, discard: Discard) -> Row {
    Row { status, phrase, q850, q850_text: q850_text(q850), retry_after_s: None, discard }
}

/// Names of ITU-T Q.850 table 1, for the numbers above.
fn q850_text(number: u8) -> &'static str {
    match number {
        1 => "Unallocated number",
        16 => "Normal call clearing",
        17 => "User busy",
        19 => "No answer from user",
        21 => "Call rejected",
        22 => "Number changed",
        26 => "Non-selected user clearing",
        27 => "Destination out of order",
        28 => "Invalid number format",
        34 => "No circuit available",
        38 => "Network out of order",
        41 => "Temporary failure",
        42 => "Switching equipment congestion",
        88 => "Incompatible destination",
        102 => "Recovery on timer expiry",
        _ => "Unspecified",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_telegram_says_about_an_unanswered_call_reaches_the_pbx_by_the_table() {
        let discards = [
            (Some(Discard::Busy), 486, 17),
            (Some(Discard::Missed), 480, 19),
            (Some(Discard::Hangup), 603, 21),
            (Some(Discard::Disconnect), 503, 41),
            (None, 603, 21),
        ];
        for (discard, status, q850) in discards {
            let row = Cause::of_discard(discard).by_callee().row();
            assert_eq!((row.status, row.q850, row.retry_after_s), (status, q850, None), "{discard:?}");
        }
    }

    #[test]
    fn each_telegram_error_reaches_the_pbx_by_the_table() {
        let errors = [
            ("USER_PRIVACY_RESTRICTED", 403, "Forbidden", 21),
            ("USER_IS_BLOCKED", 403, "Forbidden", 21),
            ("INPUT_USER_DEACTIVATED", 410, "Gone", 22),
            ("USERNAME_NOT_OCCUPIED", 404, "Not Found", 1),
            ("USERNAME_INVALID", 404, "Not Found", 1),
            ("PHONE_NOT_OCCUPIED", 404, "Not Found", 1),
            ("PARTICIPANT_VERSION_OUTDATED", 488, "Not Acceptable Here", 88),
            ("CALL_PROTOCOL_LAYER_INVALID", 488, "Not Acceptable Here", 88),
            ("CALL_PROTOCOL_COMPAT_LAYER_INVALID", 488, "Not Acceptable Here", 88),
            ("CALL_PROTOCOL_FLAGS_INVALID", 488, "Not Acceptable Here", 88),
            ("AUTH_KEY_UNREGISTERED", 503, "Service Unavailable", 38),
            ("AUTH_KEY_DUPLICATED", 503, "Service Unavailable", 38),
            ("SESSION_REVOKED", 503, "Service Unavailable", 38),
            ("CALL_OCCUPY_FAILED", 503, "Service Unavailable", 41),
            ("SOMETHING_NEW", 500, "Server Internal Error", 41),
            ("SOMETHING_NEW_7", 500, "Server Internal Error", 41),
            ("", 500, "Server Internal Error", 41),
            ("_", 500, "Server Internal Error", 41),
        ];
        for (name, status, phrase, q850) in errors {
            let row = Cause::of_telegram_error(name, None).row();
            assert_eq!(
                (row.status, row.phrase, row.q850, row.retry_after_s),
                (status, phrase, q850, None),
                "{name}"
            );
        }
    }

    #[test]
    fn a_flood_wait_tells_the_pbx_when_to_come_back_one_second_later() {
        for cause in [
            Cause::of_telegram_error("FLOOD_WAIT_290", None),
            Cause::of_telegram_error("FLOOD_WAIT", Some(290)),
            Cause::of_telegram_error("FLOOD_PREMIUM_WAIT_290", Some(1)),
        ] {
            assert_eq!(cause, Cause::Flood { wait_s: 290 });
            let row = cause.row();
            assert_eq!((row.status, row.q850, row.retry_after_s), (503, 42, Some(291)));
        }
        assert_eq!(Cause::Flood { wait_s: u32::MAX }.row().retry_after_s, Some(u32::MAX));
        assert_eq!(Cause::of_telegram_error("FLOOD_WAIT_99999999999", None), Cause::Flood { wait_s: 30 });
    }

    #[test]
    fn a_line_that_met_enough_strangers_says_so_and_when_its_day_is_over() {
        let row = Cause::Strangers { wait_s: 3600 }.row();
        assert_eq!((row.status, row.q850, row.retry_after_s), (503, 42, Some(3601)));
        assert_eq!(row.q850_text, "Daily limit of strangers reached");
    }

    #[test]
    fn what_the_lines_own_rules_forbid_says_so_and_when_to_come_back() {
        for (cause, told) in [
            (Cause::NotAllowed, (403, 21, "Not allowed by the line's lists", None)),
            (Cause::TooOften { wait_s: 40 }, (503, 42, "Too many calls in a minute", Some(40))),
            (Cause::TooManyInHour { wait_s: 0 }, (503, 42, "Too many calls in an hour", Some(1))),
            (Cause::MinutesUsed { wait_s: 9 }, (503, 42, "The minutes of the day are used up", Some(10))),
            (Cause::TooOften { wait_s: 0 }, (503, 42, "Too many calls in a minute", Some(1))),
            (Cause::QuietHours { wait_s: 3_600 }, (480, 21, "Quiet hours of the line", Some(3_600))),
            (Cause::OutsideHours, (480, 21, "Outside the line's hours", None)),
        ] {
            let row = cause.row();
            assert_eq!((row.status, row.q850, row.q850_text, row.retry_after_s), told, "{cause:?}");
            assert_eq!((cause.words(), row.discard), (told.2, Discard::Busy));
        }
    }

    #[test]
    fn a_spam_verdict_sends_the_pbx_away_for_an_hour_at_most() {
        let row = Cause::of_telegram_error("PEER_FLOOD", None).row();
        assert_eq!((row.status, row.q850, row.retry_after_s), (503, 42, Some(3600)));
    }

    #[test]
    fn what_the_gateway_finds_out_by_itself_reaches_the_pbx_by_the_table() {
        let found = [
            (Cause::BadNumber, 484, 28),
            (Cause::LineFull, 503, 34),
            (Cause::LineDown, 503, 38),
            (Cause::NoMedia, 504, 102),
            (Cause::MediaLost, 503, 41),
            (Cause::Normal, 480, 16),
            (Cause::GivenUp, 487, 16),
            (Cause::AnsweredElsewhere, 487, 26),
        ];
        for (cause, status, q850) in found {
            assert_eq!((cause.row().status, cause.row().q850), (status, q850), "{cause:?}");
        }
    }

    #[test]
    fn each_status_of_the_pbx_reaches_telegram_by_the_table() {
        let statuses = [
            (&[486, 600, 603][..], Discard::Busy),
            (&[480, 408, 487, 302, 305], Discard::Missed),
            (&[404, 410, 484, 488, 400, 401, 403, 405, 407, 415, 420, 481, 482, 483], Discard::Disconnect),
            (&[500, 501, 502, 503, 504, 505, 513, 604, 606], Discard::Disconnect),
        ];
        for (statuses, told) in statuses {
            for &status in statuses {
                assert_eq!(Cause::of_status(status).row().discard, told, "{status}");
            }
        }
        assert_eq!(Cause::TrunkDead.row().discard, Discard::Disconnect);
        assert_eq!(Cause::LineFull.row().discard, Discard::Busy);
    }

    #[test]
    fn a_pbx_that_ends_a_call_with_a_reason_tells_telegram_a_hang_up() {
        for q850 in [None, Some(16), Some(26), Some(255)] {
            assert_eq!(Cause::of_reason(q850).row().discard, Discard::Hangup, "{q850:?}");
        }
        assert_eq!(Cause::of_reason(Some(26)).row().q850, 26);
    }

    #[test]
    fn a_caller_who_gives_up_leaves_a_missed_call() {
        for cause in
            [Cause::of_reason(None), Cause::of_reason(Some(16)), Cause::of_discard(Some(Discard::Missed))]
        {
            assert_eq!(cause.by_caller().row().discard, Discard::Missed);
            assert_eq!(cause.by_caller().row().q850, 16);
        }
        assert_eq!(Cause::of_reason(Some(26)).by_caller(), Cause::AnsweredElsewhere);
    }

    #[test]
    fn an_answered_call_ends_normally_however_telegram_puts_it() {
        for discard in [Discard::Missed, Discard::Hangup, Discard::Busy] {
            assert_eq!(Cause::of_discard(Some(discard)).after_answer().row().q850, 16, "{discard:?}");
        }
        assert_eq!(Cause::of_discard(None).after_answer(), Cause::Normal, "as when it moves to a conference");
        assert_eq!(Cause::of_discard(Some(Discard::Disconnect)).after_answer().row().q850, 41);
    }

    #[test]
    fn every_number_of_the_table_has_its_name() {
        let causes = [
            Cause::Normal,
            Cause::GivenUp,
            Cause::AnsweredElsewhere,
            Cause::Busy,
            Cause::NoAnswer,
            Cause::Declined,
            Cause::Disconnected,
            Cause::Privacy,
            Cause::Blocked,
            Cause::Deactivated,
            Cause::NotFound,
            Cause::BadNumber,
            Cause::Incompatible,
            Cause::Flood { wait_s: 1 },
            Cause::PeerFlood,
            Cause::LineDown,
            Cause::LineFull,
            Cause::NoMedia,
            Cause::MediaLost,
            Cause::TrunkDead,
            Cause::TrunkRefused { status: 500 },
            Cause::Overloaded,
            Cause::Stopping,
            Cause::Internal,
        ];
        for cause in causes {
            let row = cause.row();
            assert_ne!(row.q850_text, "Unspecified", "{cause:?}");
            assert!((400..700).contains(&row.status), "{cause:?}");
        }
    }
}
