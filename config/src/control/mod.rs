//! The contract on a program's control socket: JSON, one object a line, UTF-8, at most [`LONGEST_LINE_BYTES`] a line.
//!
//! The program speaks first, with a [`Hello`]. Then every request is answered once, in order:
//!
//! ```text
//! < {"hello":"tgtrunk-gateway","version":1,"pid":4711}
//! > {"id":1,"do":"hang_up","call":"00000000000000a1"}
//! < {"id":1,"ok":"done"}
//! > {"id":2,"do":"hang_up","cal":"00000000000000a1"}
//! < {"id":2,"error":{"code":"bad_request","message":"hang_up: unknown key \"cal\": want id, do, call"}}
//! > {"id":3,"do":"send_digits","call":"00000000000000a1","digits":"12#","tone_ms":120,"pause_ms":80}
//! < {"id":3,"ok":"done"}
//! > {"id":4,"do":"subscribe"}
//! < {"id":4,"ok":"done"}
//! < {"event":"call","state":"ringing","call":"00000000000000a2","line":"+79060000000","direction":"telegram-to-pbx",…}
//! ```
//!
//! `send_digits` presses keys for the PBX: 1 to 64 of 0 to 9, `*`, `#`, A to D, one after the other and after those that
//! wait already; without `tone_ms` and `pause_ms` as long as the line's settings say. It is done when they are queued. Whoever did not
//! hear that asks again with the same `key`, 1 to 64 characters of their own, and nothing is pressed twice.
//!
//! `join_call` is done when the extension is being asked; its events tell the rest, and at the end who did not answer,
//! or that the person could not be called (`by` is `gateway`, and the cause says why):
//!
//! ```text
//! > {"id":5,"do":"join_call","line":"+79060000000","extension":"2001","person":5123456789}
//! < {"id":5,"ok":{"call":{"call":"00000000000000a3"}}}
//! ```
//!
//! `person` may also be a phone number, as `"+79990000000"`, or a username, as `"@anna"`; the gateway then looks the person
//! up at Telegram first, which counts as the line's `strangers_per_day` say, and refuses as `unknown_person` where nobody
//! is found.
//!
//! It may carry a `key` of the asker's, 1 to 64 characters. The gateway remembers for 10 minutes which call of the line was
//! begun under it, and answers a repetition with that call, also when it is over, instead of beginning another: whoever
//! did not hear the answer asks again. A refusal is not remembered, nor is anything when the gateway starts anew.
//!
//! `log` is answered by every program, after `wait_ms` at the latest when there is nothing new; what is asked after it on
//! the same connection waits as long. `watch_levels` has `levels` events told for 10 seconds, to every subscriber; whoever
//! goes on watching asks again meanwhile.
//!
//! The client and the bot speak the same contract on sockets of their own. They answer `status` and `reload` with their own
//! reports; what a program does not answer it refuses as `bad_request`: "tgtrunk-client has no hang_up". A login of the
//! client is `export_login` there, `accept_login` with its token at the gateway, and `export_login` with the password if
//! the account has one, until it answers `done`. Words and keys may be added to version 1; none
//! changes its meaning.
//!
//! Gateway and client are logged in word by word, each in its own session, and tell every change of it as an event:
//!
//! ```text
//! > {"id":6,"do":"start_login","line":"+79060000000","method":"code"}
//! < {"id":6,"ok":{"login":{"line":"+79060000000","stage":"code","via":"sms","length":5,"sent_ms":…}}}
//! > {"id":7,"do":"enter_code","line":"+79060000000","code":"12345"}
//! < {"id":7,"ok":{"login":{"line":"+79060000000","stage":"password","hint":"cat"}}}
//! > {"id":8,"do":"enter_password","line":"+79060000000","password":"…"}
//! < {"id":8,"ok":{"login":{"line":"+79060000000","stage":"done","account":{"id":5123456789,"name":"Acme"}}}}
//! ```
//!
//! A session that works stays at work until the new one is in; `cancel_login` before that costs nothing. The client's
//! session follows the gateway's by itself: the gateway accepts its token and hands the password over for a minute. It
//! can be had to by `start_login` with `qr` at the client and `accept_login` with that token at the gateway.
//!
//! A subscriber gets every event from then on, and `lagged` where it read too slowly. Only encoding and decoding is
//! here; sockets are the programs'.

mod action_token;
mod bots;
mod check;
mod csv;
mod event;
mod instance;
mod letter;
mod log;
mod login;
mod pbx_side;
mod quality;
mod record;
mod reply;
mod request;
mod wire;

pub use action_token::{ActionTokenInfo, NewActionToken};
pub use bots::{ApiTokenInfo, BotCheck, BotPerson, NewApiToken};
pub use check::{Check, CheckName, Found};
pub use csv::CSV_HEADER;
pub use event::{
    CallEnd, CallInfo, CallState, DigitInfo, DigitWay, Direction, Ender, Event, Peer, RefusedBy, Side,
    TrunkEnd,
};
pub use instance::{InstanceInfo, NewToken};
pub use letter::{LetterInfo, LetterState};
pub use log::{LogLine, LogTail};
pub use login::{CodeVia, LoginInfo, LoginMethod, LoginStage};
pub use pbx_side::{PbxSide, TRANSFERS_TOLD, TransferInfo, TransferKind};
pub use quality::{LegQuality, MediaPath, MediaTransport, Muted, Quality};
pub use record::{CallRecord, CallResult, Levels, RecordFilter, Recording};
pub use reply::{
    Answer, BotReport, ClientReport, Heard, HeardError, Hello, LineInfo, Outcome, Refusal, RefusalCode,
    Reply, StatusReport,
};
pub use request::{Ask, BadRequest, Request};
pub use wire::{LONGEST_LINE_BYTES, LineReader, WireError, to_line};

/// Version of the contract that this code speaks.
pub const VERSION: u32 = 1;
