//! Bots (core.telegram.org/bots): accounts that programs lead by the Bot API, asked by users through MTProto.
//!
//! A bot is a user like others, with a box of messages. What happens to it is turned into the Bot API's JSON at once
//! and waits in its queue, which `crate::botapi` reads.

mod account;
mod asked;
mod callback;
mod chat;
mod face;
mod faults;
mod handle;
mod inline;
mod inline_message;
mod journal;
mod keyboard;
mod marks;
mod queue;

pub use account::{BotFace, BotInfo, NewBot};
pub(crate) use account::{Bots, Command, Words, import_bot_authorization};
pub(crate) use callback::get_bot_callback_answer;
pub use callback::{Button, PressAnswer};
pub(crate) use chat::Closed;
pub(crate) use face::{DOCUMENT, PHOTO, chat_json, message_json, parse_file_id, unique_id, user_json};
pub(crate) use faults::BotFate;
pub use faults::{BotAction, BotMatch, BotRule, BotRuleInfo};
pub(crate) use inline::{InlineAnswer, get_inline_bot_results, send_inline_bot_result, start_bot};
pub(crate) use inline_message::InlineMessageId;
pub use journal::BotEntry;
pub(crate) use keyboard::markup_from_json;
pub(crate) use queue::Webhook;
