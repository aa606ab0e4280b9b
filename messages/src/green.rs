//! The dialect of GREEN-API's clients.

pub(crate) mod notification;
