//! A network that exists only here, and two calls on it.

mod random;
mod world;

pub use world::{Conditions, World, ms, parameters, start};
