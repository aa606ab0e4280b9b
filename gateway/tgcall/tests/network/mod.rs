//! A network that exists only here, and two calls on it.

mod random;
mod servers;
mod world;

pub use random::Random;
pub use servers::{Servers, turn};
pub use world::{Conditions, World, ms, parameters, start};
