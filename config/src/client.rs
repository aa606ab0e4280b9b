//! `[client]` of `tgtrunk.toml`: how the client runs. What it does for a line is in [`crate::Chat`].

use crate::keys::Section;
use crate::log::{self, LogFormat, LogLevel};
use crate::settings::Gateway;

/// How the client runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Shape of the log; the gateway's unless it is given.
    pub log: LogFormat,
    /// How much is logged; what the gateway logs unless it is given.
    pub log_level: LogLevel,
}

pub(crate) fn read(mut section: Section<'_, '_>, gateway: &Gateway) -> Client {
    let (log, log_level) = log::read_as(&mut section, (gateway.log, gateway.log_level));
    section.finish();
    Client { log, log_level }
}
