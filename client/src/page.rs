//! The operator's page: what it shows, how that looks, and what of it lies in the program.

pub(crate) mod assets;
pub(crate) mod model;
pub(crate) mod setting;
pub(crate) mod view;
