//! What the shells of all programs share.
//!
//! [`log`] starts their logs and remembers their last lines, [`control`] is the serving end of a control socket and [`asking`] the asking one, with
//! [`Follower`](asking::Follower) for programs that have to know of every call, and [`keyboard`] is the terminal. [`clock`] reads the
//! clocks, [`status_file`] keeps a status on the disk, [`said`] tells errors in both languages, [`caught`] keeps panics where they
//! happen. [`web`] is a port that speaks HTTP. [`begin`] starts a program,
//! which waits for its settings where they are wrong, [`Supervisor`] is the service manager above, and [`Health`] tells what an
//! operator can mend.
//! It knows no question's meaning: who asks what is the programs' own.

pub mod asking;
pub mod caught;
pub mod clock;
pub mod control;
pub mod health;
pub mod keyboard;
pub mod log;
mod place;
pub mod said;
pub mod status_file;
mod supervisor;
mod waiting;
pub mod web;

pub use health::Health;
pub use place::{become_owner, usual_config};
pub use supervisor::Supervisor;
pub use waiting::{Begun, Role, begin, language};
