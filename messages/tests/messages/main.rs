//! Instances over a messenger that the test plays.

#![allow(clippy::unwrap_used)]

mod receiving;
mod sending;
mod support;
