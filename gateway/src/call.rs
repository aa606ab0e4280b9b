//! One call: the bridge's state machine with its two legs, in one task that owns all of it.

mod quality;
mod srtp;
mod steps;
mod streams;
mod task;
mod telegram_leg;
mod trunk_leg;

pub(crate) use steps::{discard, find};
pub(crate) use task::{Handle, Input, Levels, Limits, Opening, Progress, Recordings, Said, State, start};
pub(crate) use telegram_leg::Shared;
pub(crate) use trunk_leg::{OtherLeg, SipWord, TransferWord, TrunkAudio, TrunkLeg, reason, rejection};
