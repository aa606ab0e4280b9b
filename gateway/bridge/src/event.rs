//! What a call hears, and what it asks for, in words that fit both sides.

use std::time::Duration;

use crate::cause::Cause;
use crate::record::Record;

/// One of the two halves of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leg {
    /// The PBX and its phone.
    Trunk,
    /// The Telegram user.
    Telegram,
}

impl Leg {
    /// Both of them.
    pub const BOTH: [Self; 2] = [Self::Trunk, Self::Telegram];

    /// The one across.
    pub fn other(self) -> Self {
        match self {
            Self::Trunk => Self::Telegram,
            Self::Telegram => Self::Trunk,
        }
    }

    /// One word for logs and journals.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trunk => "trunk",
            Self::Telegram => "telegram",
        }
    }
}

/// What happened. An event that does not fit the moment is ignored: networks repeat and reorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The network of the dialled leg took the call; its device does not ring yet.
    Proceeds(Leg),
    /// The dialled device rings.
    Rings(Leg),
    /// There is something to hear from the dialled side before it answers: an announcement, a tone of its own.
    EarlyMedia(Leg),
    /// The dialled person, or a caller whom we called first, answered.
    Answers(Leg),
    /// Sound can flow on this leg: its media is connected and the format to send is known. Also after a loss.
    MediaUp(Leg),
    /// The leg's media is lost and may come back.
    MediaDown(Leg),
    /// The far end of this leg ended it, or it never came to be; there is nothing left to hang up there.
    HangsUp(Leg, Cause),
    /// Something failed on this leg for good; it exists still and will be hung up like the other.
    Fails(Leg, Cause),
    /// We end the call: an operator, a limit, the program stopping.
    Stop(Cause),
    /// The end that we asked for on this leg is done.
    Released(Leg),
}

/// What the shell is to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Call the person on this leg, or the caller who is to be fetched.
    Dial(Leg),
    /// Tell the caller on this leg that it rings.
    TellRinging(Leg),
    /// Let the caller on this leg, who is in the call already, hear that it rings, until [`Action::Join`].
    RingBack(Leg),
    /// Answer the caller on this leg. On the trunk sound can flow already; on Telegram media is connected now.
    Answer(Leg),
    /// Let sound pass both ways though nobody answered yet: the caller is to hear what the PBX plays, or that it rings.
    JoinEarly,
    /// Let sound pass both ways.
    Join,
    /// End this leg and report [`Event::Released`] when that is done. It comes twice for one leg only if an answer
    /// crossed the first one.
    HangUp {
        /// Which leg.
        leg: Leg,
        /// Why; its [`row`](Cause::row) says how each side puts it.
        cause: Cause,
        /// How long sound could flow; zero if it never did.
        talked: Duration,
    },
    /// The call is over and nothing follows: write it down and forget it.
    End(Record),
}
