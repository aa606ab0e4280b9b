//! What a relay tells the shell of a call.

use crate::dtmf::{Press, Way};
use crate::relay::Side;

/// Something that happened in the sound of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Nothing came from the side for as long as it may be silent. It is named once; then watching it ends.
    Lost(Side),
    /// The side pressed a key and let it go.
    Digit {
        /// Who.
        from: Side,
        /// Which, and how long.
        press: Press,
        /// Never [`Way::Info`], which the shell sees first.
        way: Way,
    },
    /// Everything that was to be dialled to the side has been.
    DigitsSent(Side),
    /// This key is to be said by SIP INFO now.
    SendInfo {
        /// To whom.
        to: Side,
        /// Which, and how long.
        press: Press,
    },
}
