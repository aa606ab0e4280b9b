//! The dialect of GREEN-API's clients over HTTP: every method, every error, everything that unmodified clients do.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod bad_calls;
mod calls;
mod clients;
mod files;
mod stage;
mod telegram;
