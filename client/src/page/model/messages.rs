//! What the place "Messages" shows. `{id}` is an instance's number, `{message}` a message's, `{receipt}` a notification's.
//!
//! | GET | shows |
//! |---|---|
//! | `/messages` | [`MessagesPage`] |
//! | `/messages/{id}?page=` | [`InstancePage`]: how it stands, its queues, what rests; `page` is of the outgoing queue, from 1 |
//! | `/messages/{id}/journal?direction=&whom=&kind=&status=&text=&before=` | [`JournalPage`]; `before` is `{second}-{message}` |
//! | `/messages/{id}/journal.csv?…` | the same messages as a table |
//! | `/messages/{id}/chats/{chat}?before=` | [`JournalPage`] of one chat, both ways, the newest last |
//! | `/messages/{id}/files/{key}` | a file of a message |
//! | `/messages/{id}/login?way=` | [`SigninPage`], of instances without a line; `way` = `qr`, `code` |
//! | `/messages/{id}/settings` | [`InstanceSettingsPage`] |
//! | `/messages/{id}/access` | [`AccessPage`]: number, token, samples for programs |
//! | `/bots/{bot}/messages?page=`, `…/journal?…`, `…/journal.csv?…`, `…/chats/{chat}?before=`, `…/files/{key}` | the same of a bot that programs lead |
//! | `/bots/{bot}/messages/access` | [`BotAccessPage`]: the tokens of the programs that lead it |
//!
//! | POST | fields |
//! |---|---|
//! | `/messages/{id}/restart`, `…/logout` | |
//! | `/messages/{id}/delete` | : an instance without a line, and all that it keeps |
//! | `/messages/{id}/queue/{message}/cancel`, `…/queue/clear` | |
//! | `/bots/{bot}/messages/queue/{message}/cancel`, `…/queue/clear` | |
//! | `/bots/{bot}/messages/updates/push`, `…/updates/{number}/skip` | |
//! | `/bots/{bot}/messages/access` | `label`: a further token, shown this once |
//! | `/bots/{bot}/messages/access/{number}/revoke` | |
//! | `/messages/{id}/notifications/{receipt}/skip`, `…/notifications/{clear,test,push}` | |
//! | `/messages/{id}/login/{phone,code,password}` | `phone`; `code`; `password` |
//! | `/messages/{id}/settings` | keys of GREEN-API's settings; `webhookUrlToken.clear` = `true` |
//! | `/messages/{id}/access` | : another token, shown this once |
//!
//! | event's id | function | on |
//! |---|---|---|
//! | `instances` | `view::messages::list` | `/messages` |
//! | `standing` | `view::messages::instance::standing` | every page of an instance |
//! | `outgoing`, `notifications`, `budgets` | `view::messages::queues` | `/messages/{id}`; of a bot without `notifications` |
//! | `updates` | `view::messages::bots::updates` | `/bots/{bot}/messages` |
//! | `letters` | `view::messages::journal::letters` | the journal and a chat, at their newest |
//! | `signin` | `view::messages::signin::step` | `/messages/{id}/login` |

use tgtrunk_config::control::ApiTokenInfo;
use tgtrunk_config::{BotName, BotPrograms, Phone, Said};
use tgtrunk_messages::{
    Bookmark, Browse, Dropped, Head, LoginStep, Record, Rest, Seen, Settings, Standing, Waiting, WebhookState,
};

use super::Typed;
use super::access::Secret;

/// Lines of the outgoing queue on one page.
pub(crate) const QUEUE_LINES: u32 = 50;
/// Notifications of an account that are counted; beyond it is said that there are more.
pub(crate) const COUNTED: u64 = 10_000;
/// Messages of the journal on one page.
pub(crate) const LETTERS: usize = 50;

/// All instances.
#[derive(Clone, Debug)]
pub(crate) struct MessagesPage {
    /// Those of lines, then the others.
    pub(crate) instances: Vec<InstanceCard>,
    /// Why there are none to show.
    pub(crate) problem: Option<Said>,
}

/// One instance at a glance.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InstanceCard {
    /// Its number.
    pub(crate) id: i64,
    /// The line whose account it is.
    pub(crate) line: Option<Phone>,
    /// The bot whose it is; its pages are below `/bots/{bot}/messages`, and what it shows is asked of tgtrunk-bot.
    pub(crate) bot: Option<BotName>,
    /// The account's number with its `+`; empty where nobody is logged in yet.
    pub(crate) phone: String,
    /// The account's username, without `@`.
    pub(crate) username: Option<String>,
    /// What it is called; empty where nobody has called it anything.
    pub(crate) name: String,
    /// How it stands with Telegram.
    pub(crate) standing: Standing,
    /// Until when Telegram limits the account: milliseconds since 1970.
    pub(crate) suspended_until_ms: Option<u64>,
    /// Whether programs have a token for it.
    pub(crate) has_token: bool,
    /// Messages in the outgoing queue.
    pub(crate) outgoing: u64,
    /// Notifications that wait, of an account no more than one more than [`COUNTED`]; a bot's updates for the programs that lead it.
    pub(crate) notifications: u64,
    /// When the newest message was written: milliseconds since 1970.
    pub(crate) last_ms: Option<u64>,
    /// Why the head of the outgoing queue does not go out.
    pub(crate) stuck: Option<String>,
    /// What the webhook says, while it does not take the head.
    pub(crate) webhook_fails: Option<String>,
    /// Whether the webhook's address is the example of 1C's connector, where nothing is sent.
    pub(crate) webhook_is_example: bool,
    /// How often a program has fetched the first notification without taking it away, where it sees no other for that.
    pub(crate) left: Option<u32>,
    /// What rests.
    pub(crate) rests: Vec<Rest>,
    /// Why it cannot be read.
    pub(crate) problem: Option<Said>,
}

/// An instance's queues.
#[derive(Clone, Debug)]
pub(crate) struct InstancePage {
    /// The instance.
    pub(crate) card: InstanceCard,
    /// Which page of the outgoing queue, from 0.
    pub(crate) page: u32,
    /// That page.
    pub(crate) waiting: Vec<Waiting>,
    /// Longest outgoing queue.
    pub(crate) queue_limit: u32,
    /// Most notifications that wait, and how many of the oldest gave way to more.
    pub(crate) most: u32,
    pub(crate) dropped: Dropped,
    /// The head of the notifications.
    pub(crate) head: Option<Head>,
    /// Where they are brought, without what it may hold of secrets; empty for nowhere.
    pub(crate) webhook: String,
    /// How the webhook does.
    pub(crate) webhook_state: WebhookState,
    /// Phone numbers and names that Telegram was asked for today, and most of them in a day.
    pub(crate) checks: (u32, u32),
    /// The pause between two messages, in milliseconds.
    pub(crate) delay_ms: u32,
    /// What organisations are called that write by the account.
    pub(crate) writers: Vec<String>,
    /// Of a bot: its updates for the programs that lead it.
    pub(crate) programs: Option<BotPrograms>,
}

/// Messages that were.
#[derive(Clone, Debug)]
pub(crate) struct JournalPage {
    /// The instance.
    pub(crate) card: InstanceCard,
    /// What was asked for.
    pub(crate) browse: Browse,
    /// From where; None for the newest.
    pub(crate) before: Option<Bookmark>,
    /// The newest first.
    pub(crate) letters: Vec<Record>,
    /// Where older ones begin.
    pub(crate) older: Option<Bookmark>,
    /// What whoever is shown this has before them then.
    pub(crate) seen: Option<Seen>,
    /// What the chat is called, on the page of one.
    pub(crate) chat_title: Option<String>,
    /// Why there are none to show.
    pub(crate) problem: Option<Said>,
}

/// An instance's settings, as far as they matter to messages.
#[derive(Clone, Debug)]
pub(crate) struct InstanceSettingsPage {
    /// The instance.
    pub(crate) card: InstanceCard,
    /// What holds.
    pub(crate) settings: Settings,
    /// What was typed, and what is wrong with it.
    pub(crate) typed: Typed,
    /// What is wrong as a whole.
    pub(crate) problem: Option<Said>,
}

/// What a program needs to call an instance.
#[derive(Clone, Debug)]
pub(crate) struct AccessPage {
    /// The instance.
    pub(crate) card: InstanceCard,
    /// What the API's addresses begin with.
    pub(crate) base: String,
    /// Whether the API is served at all.
    pub(crate) is_served: bool,
    /// A token that was just made, to be shown this once.
    pub(crate) token: Option<String>,
}

/// The tokens with which programs lead a bot.
#[derive(Clone, Debug)]
pub(crate) struct BotAccessPage {
    /// The bot.
    pub(crate) card: InstanceCard,
    /// The oldest first.
    pub(crate) tokens: Vec<ApiTokenInfo>,
    /// A new one: `label`.
    pub(crate) typed: Typed,
    /// One that was just made, to be shown this once. Its address is empty where no program is served.
    pub(crate) made: Option<Secret>,
    /// Why there are none to show.
    pub(crate) problem: Option<Said>,
}

/// How a login is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By a QR code.
    Qr,
    /// By a code that Telegram sends.
    Code,
}

/// The login of an instance without a line.
#[derive(Clone, Debug)]
pub(crate) struct SigninPage {
    /// The instance.
    pub(crate) card: InstanceCard,
    /// How; None where that is still to be chosen.
    pub(crate) way: Option<Way>,
    /// How far it is.
    pub(crate) step: Option<LoginStep>,
}
