//! One header per file: what it says, read and written (RFC 3261 section 20).

mod authorization;
mod cseq;
mod digest;
mod identity;
mod name_addr;
mod parameters;
mod rack;
mod reason;
mod replaces;
mod session_expires;
mod via;

pub(crate) use authorization::{Authorization, challenge};
pub(crate) use cseq::CSeq;
pub use digest::Credentials;
pub(crate) use digest::{Algorithm, Challenge};
pub(crate) use identity::is_hidden;
pub use identity::{Identity, Party};
pub(crate) use name_addr::NameAddr;
pub(crate) use parameters::Parameters;
pub(crate) use rack::{RAck, parse_rseq};
pub use reason::{Protocol, Reason};
pub(crate) use replaces::Replaces;
pub(crate) use session_expires::{Refresher, SessionExpires};
pub(crate) use via::{Via, stamped};
