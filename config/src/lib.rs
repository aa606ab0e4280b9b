//! What the three programs share: settings, lines, bots, texts, the state directory, statuses and the control contract.
//!
//! [`Settings`] is `tgtrunk.toml`, [`Line`] is one `<phone>/line.toml` and [`Texts`] its `texts.toml`, [`BotFile`] is one
//! `bots/<username>/bot.toml`. [`StateDir`] knows every path and writes whole files or nothing, [`GatewayStatus`],
//! [`ClientStatus`] and [`BotStatus`] are what the programs say about themselves, and [`control`] is what goes over their
//! sockets. It touches files, but no network, no clock (times are arguments) and no Telegram or SIP word.

mod api;
mod audio;
mod bot;
mod bot_file;
mod bot_name;
mod callee;
mod caller_id;
mod chat;
mod client;
pub mod control;
mod dial;
mod edit;
mod hours;
mod keys;
mod language;
mod line;
mod lines;
mod log;
mod media;
mod page;
mod password_file;
mod pbx;
mod policy;
mod proxy;
mod recording;
mod said;
mod secret;
mod settings;
mod state;
mod status;
mod texts;
mod transfer;
mod trouble;
mod trunk;
mod units;
mod wanted;

pub use api::{ApiSettings, CallWebhook};
pub use audio::{Audio, CodecName, DtmfWay, Ringback};
pub use bot::{Bot, BotApi, Webhook};
pub use bot_file::{BotError, BotFile, Bots};
pub use bot_name::{BotName, BotNameError};
pub use callee::{Callee, CalleeError};
pub use caller_id::{CallerField, CallerId, CallerPart, CallerPrivacy, CallerTemplate};
pub use chat::{CardContact, Chat, MenuRow, is_extension};
pub use client::Client;
pub use dial::{DialRule, FewDigits, Rewrite};
pub use edit::{Change, EditError, written};
pub use hours::{Holiday, Hours, WeekSpan};
pub use keys::{Fault, Problem};
pub use language::{Language, LanguageError};
pub use line::{CallLimits, EarlyAnswer, EarlyMedia, Line, ParallelIncoming, PbxAddress, PbxAddressError};
pub use lines::{LineDraft, LineError, LineProblem, Lines};
pub use log::{LogFormat, LogLevel};
pub use media::{MediaSockets, MediaTick};
pub use page::PageSettings;
pub use pbx::Pbx;
pub use policy::{FromTelegram, Owner, PersonPattern, Refused, ToTelegram};
pub use proxy::{Proxy, ProxyError};
pub use recording::{ConsentTone, RecordingRule};
pub use said::Said;
pub use secret::{BotToken, BotTokenError, LoginCode, LoginToken, LoginTokenError, Password};
pub use settings::{Footing, Gateway, PortRange, Settings, SettingsError, Telegram, TlsFiles};
pub use state::{Lock, StateDir, StateError, TooOpen, too_open};
pub use status::{
    BotPrograms, BotStatus, BotUpdate, BotWebhook, BotWebhookFault, ClientStatus, GatewayStatus, Lamp, Light,
    LinePause, PauseReason, StrangerBudget, WAITING,
};
pub use texts::{TextKey, Texts, Words};
pub use transfer::Transfer;
pub use trouble::{Overload, Trouble};
pub use trunk::{AuthAlgorithm, Srtp, TlsTrust, Transport, Trunk, TrunkLogin, TrunkPassword, TrunkSecret};
pub use units::{CallId, Digit, Digits, Phone, UnitError, UserId};
