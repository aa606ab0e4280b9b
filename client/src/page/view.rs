//! What the pages look like: functions of what they show and the language they are read in.

pub(crate) mod access;
pub(crate) mod bots;
pub(crate) mod calls;
pub(crate) mod entry;
pub(crate) mod error;
mod form;
pub(crate) mod frame;
mod icons;
mod lamp;
pub(crate) mod line;
pub(crate) mod line_bot;
pub(crate) mod lines;
pub(crate) mod log;
pub(crate) mod messages;
pub(crate) mod new_line;
pub(crate) mod pbx;
pub(crate) mod preview;
#[cfg(test)]
mod samples;
pub(crate) mod sessions;
pub(crate) mod settings;
mod spark;
pub(crate) mod steps;
pub(crate) mod system;
pub(crate) mod texts;
pub(crate) mod words;
