//! What the three programs share: settings, lines, the state directory, statuses and the control contract.
//!
//! [`Settings`] is `tgtrunk.toml`, [`Line`] is one `<phone>/line.toml`, [`StateDir`] knows every path and writes whole
//! files or nothing, [`GatewayStatus`] is what a program says about a line, and [`control`] is what goes over its socket.
//! It touches files, but no network, no clock (times are arguments) and no Telegram or SIP word.

mod audio;
pub mod control;
mod keys;
mod line;
mod lines;
mod proxy;
mod settings;
mod state;
mod status;
mod units;

pub use audio::{Audio, CodecName, DtmfWay, Ringback};
pub use keys::{Fault, Problem};
pub use line::{
    CallLimits, CallerId, DialRule, EarlyAnswer, FewDigits, Line, ParallelIncoming, PbxAddress,
    PbxAddressError,
};
pub use lines::{LineDraft, LineError, LineProblem, Lines};
pub use proxy::{Proxy, ProxyError};
pub use settings::{Gateway, LogFormat, LogLevel, PortRange, Settings, SettingsError, Telegram};
pub use state::{Lock, StateDir, StateError, TooOpen, too_open};
pub use status::{GatewayStatus, Lamp, Light, WAITING};
pub use units::{CallId, Digit, Digits, Phone, UnitError, UserId};
