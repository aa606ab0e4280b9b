//! Load for relays under measurement: both ends of many calls, packets on a schedule, and what became of each of them.
//!
//! One thread sends and receives for all calls and spins while it measures, since a far end that sleeps on its socket has the
//! relay pay for waking it up. Every end has an address of its own on loopback, though all of a side share a socket.

pub mod allocations;
mod bridge;
mod callees;
mod checks;
mod clip;
mod detour;
mod ends;
mod floor;
mod generator;
pub mod instructions;
pub mod machine;
mod master;
mod ntgcalls;
pub mod report;
mod rtpengine;
mod stamp;
pub mod statistics;
mod talkers;
mod window;
mod wire;

pub use bridge::{Bridge, BridgeOptions, MOST_CALLS, USUAL};
pub use callees::Callees;
pub use checks::{Checked, Credentials};
pub use clip::{Clip, Heard, Quality};
pub use detour::{Detour, Passage};
pub use ends::{Ends, Keys, Taken, Word};
pub use floor::{Floor, Mode};
pub use master::Profile;
pub use ntgcalls::NtgcallsBridge;
pub use report::{Report, Rounds, page};
pub use rtpengine::Rtpengine;
pub use talkers::Talkers;
pub use window::{Delay, Plan, Window};
