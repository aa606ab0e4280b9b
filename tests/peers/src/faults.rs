//! One fault at one message of a call: what PBX and gateway say to each other passes a [`SipPath`], what the gateway and
//! Telegram say passes a [`Cable`], and pushes pass the test Telegram's own rules. Each drops, delays, repeats, reorders or cuts at
//! one place of one call, and [`Scene`] judges what became of that call on both sides.

mod cable;
mod cases;
mod peer;
mod scene;
mod sip_path;
mod verdict;

use std::fmt;

pub use self::cable::Cable;
pub use self::cases::{Kind, run};
pub use self::scene::Scene;
pub use self::sip_path::SipPath;

/// A side of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    Pbx,
    Person,
}

impl End {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Pbx, Self::Person];
}

/// Who calls, and who ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Story {
    pub caller: End,
    pub hangs_up: End,
}

/// What happens to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is lost once.
    Drop,
    /// It comes [`DELAY_MS`] late; on a stream all behind it, too.
    Delay,
    /// It comes twice.
    Duplicate,
    /// The next one of its way overtakes it.
    Reorder,
    /// The connection ends before it.
    Cut,
}

/// How late a delayed message is.
pub const DELAY_MS: u64 = 700;

/// From where a message comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    Gateway,
    /// The PBX on a SIP path, Telegram on a cable.
    Other,
}

impl Sender {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Gateway, Self::Other];
}

/// Which message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A SIP message by its method or by its status and method, the first time that it is sent.
    Sip(Sender, String),
    /// The n-th push of this name to the line's account, from 1.
    Push(&'static str, u32),
    /// The n-th piece of the stream to or from Telegram as it is read, from 1.
    Piece(Sender, u32),
}

/// One call to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub story: Story,
    pub place: Place,
    pub fault: Fault,
}

impl Case {
    /// Whether Telegram or a connection may lose a message for good by it: such a call need not come about.
    pub fn loses_for_good(&self) -> bool {
        match self.place {
            Place::Sip(..) => false,
            // Signaling is repeated, ringing is no more than told, and whoever hung up has talked.
            Place::Push(name, _) => {
                self.fault == Fault::Drop
                    && ["phoneCallRequested", "phoneCallAccepted", "phoneCall"].contains(&name)
            }
            Place::Piece(..) => self.fault == Fault::Cut,
        }
    }

    /// Whether calls differ in how many such messages they have, so that this one may never come.
    pub fn may_be_missed(&self) -> bool {
        match self.place {
            Place::Sip(..) => false,
            Place::Push(name, number) => name == SIGNALING && number > 1,
            Place::Piece(..) => true,
        }
    }
}

/// The push that carries signaling data.
const SIGNALING: &str = "updatePhoneCallSignalingData";

impl fmt::Display for End {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Pbx => "PBX",
            Self::Person => "person",
        })
    }
}

impl fmt::Display for Story {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} calls, {} hangs up", self.caller, self.hangs_up)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Drop => "dropped",
            Self::Delay => "delayed",
            Self::Duplicate => "twice",
            Self::Reorder => "overtaken",
            Self::Cut => "cut",
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sip(Sender::Gateway, label) => write!(out, "{label} to the PBX"),
            Self::Sip(Sender::Other, label) => write!(out, "{label} of the PBX"),
            Self::Push(name, number) => write!(out, "{name} {number}"),
            Self::Piece(Sender::Gateway, number) => write!(out, "piece {number} to Telegram"),
            Self::Piece(Sender::Other, number) => write!(out, "piece {number} of Telegram"),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} {}", self.story, self.place, self.fault)
    }
}
