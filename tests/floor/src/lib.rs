//! A relay that does nothing but relay: what any bridge between RTP and SRTP has to do at least, for benchmarks of the
//! gateway. Two sockets for all calls, whole batches in and out, keys in compact contexts next to each other; no state machine, no
//! checks of who sends, no reports.

pub mod batch;
pub mod legs;
pub mod mixed;
pub mod relay;
pub mod srtp;
