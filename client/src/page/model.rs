//! What each page shows, and the words that its addresses, forms and events are made of. The views are functions of these
//! alone; whoever serves them fills them in.
//!
//! # Addresses
//!
//! `{phone}` is a line's number with its `+`, `{part}` one of `gateway`, `client`, `bot`, `{call}` and `{bot}` are written
//! as everywhere.
//!
//! | GET | shows |
//! |---|---|
//! | `/login?next=` | [`LoginPage`]: the page's own password |
//! | `/` | [`LinesPage`] |
//! | `/lines/new` | [`NewLinePage`] |
//! | `/lines/{phone}` | [`LinePage`]: lamps, checks, strangers, calls |
//! | `/lines/{phone}/login` | [`SessionsPage`]: who is logged in where, and where to begin again |
//! | `/lines/{phone}/login/{gateway,client}` | [`StepsPage`]: one login, step by step |
//! | `/lines/{phone}/login/bot` | [`LineBotPage`]: which bot the line has |
//! | `/lines/{phone}/texts?language=` | [`TextsPage`] |
//! | `/lines/{phone}/pbx` | [`PbxPage`]: blocks to paste |
//! | `/lines/{phone}/settings` | [`LineSettingsPage`] |
//! | `/calls?line=&from=&to=&direction=&result=&text=&page=` | [`CallsPage`]; `from` and `to` are days as `2026-11-26` here, `to` included; `page` counts from 1 |
//! | `/calls.csv?…` | the same records as a table |
//! | `/bots` | [`BotsPage`] |
//! | `/access…` | [`access`] |
//! | `/system` | [`SystemPage`] |
//! | `/system/log?part=` | [`LogPage`] |
//! | `/messages…` | [`messages`] |
//! | `/events?page=` | events for the page at that address (path and query) |
//! | `/assets/…` | [`super::assets`] |
//! | any | [`ErrorPage`] where nothing else can be shown |
//!
//! # Forms
//!
//! Every form posts `csrf` and `back` (a local path to return to) beside these fields, urlencoded:
//!
//! | POST | fields |
//! |---|---|
//! | `/login` | `password`, `next` |
//! | `/logout` | |
//! | `/language` | `language` = `ru`, `en` |
//! | `/theme` | `theme` = `auto`, `light`, `dark` |
//! | `/lines/new` | `phone`, `company`, `pbx`, `sip_port`; then on to `/lines/{phone}/login/gateway` |
//! | `/lines/{phone}/switch` | `enabled` = `true`, `false` |
//! | `/lines/{phone}/restart` | |
//! | `/lines/{phone}/reset` | `phone` typed again |
//! | `/lines/{phone}/delete` | `phone` typed again |
//! | `/lines/{phone}/checks` | : look again |
//! | `/lines/{phone}/checks/{check}/fix` | : `{check}` is the contract's word, as `phone_visible` |
//! | `/lines/{phone}/webhook/push`, `…/webhook/{event}/skip` | : the webhook of its calls |
//! | `/lines/{phone}/settings` | keys of `line.toml`: [`super::setting::LINE`] |
//! | `/lines/{phone}/texts/{language}` | a field per text, named by its key; a button `reset` = a key, or `all` |
//! | `/lines/{phone}/login/{part}/start` | `method` = `code`, `qr` |
//! | `/lines/{phone}/login/{part}/resend`, `…/cancel`, `…/logout` | |
//! | `/lines/{phone}/login/{part}/code` | `code` |
//! | `/lines/{phone}/login/{part}/password` | `password` |
//! | `/lines/{phone}/login/bot` | `act` = `check`, `save` with `token`; `act` = `choose` with `bot` (empty for none) |
//! | `/calls/{call}/hangup` | |
//! | `/calls/watch` | `call` any number of times: tell how loud these are for 10 s |
//! | `/bots` | `act` = `check`, `save` with `token` |
//! | `/bots/{bot}/remove` | `bot` typed again |
//! | `/system/settings` | keys of `tgtrunk.toml`: [`super::setting::SYSTEM`] |
//! | `/system/password` | `old`, `new`, `again` |
//!
//! The answer is 303 to where the person goes on, with a [`Notice`] that the next page shows once; or 422 with the same page
//! and [`Typed`] filled in. A form that the script posts carries `X-Fragment: 1` and is answered with 204, or with JSON, each
//! key optional:
//!
//! ```text
//! 200 {"said":"Saved","go":"/lines/+79060000000","fragments":[{"id":"…","html":"…"}]}
//! 422 {"said":"Two fields need a look","fields":{"pbx":"want an IP address or a host name …"}}
//! ```
//!
//! `go` is where the browser goes on (and `said` is then shown there); 401 sends it to `/login`. An unchecked box posts
//! nothing; each box has a hidden `false` before it, so the last value of a name counts.
//!
//! # Events
//!
//! `event: fragment`, `data: {"id":"…","html":"…"}`: the element with that id becomes this one; typed values, focus and open
//! dialogs stay. The elements, `{digits}` being the line's number without its `+`:
//!
//! | id | function | on |
//! |---|---|---|
//! | `alerts` | `view::frame::alerts` | every page |
//! | `overall` | `view::lines::overall` | `/` |
//! | `lines` | `view::lines::list`, when lines came or went | `/` |
//! | `line-{digits}` | `view::lines::card`, when lamps changed or calls came or went | `/` |
//! | `call-{call}` | `view::calls::live_row`, when one call changed | `/`, `/calls`, `/lines/{phone}` |
//! | `live` | `view::calls::live`, when calls came or went | `/calls` |
//! | `records` | `view::calls::records`, after a call ended | `/calls` |
//! | `lamps` | `view::line::lamps` | every page of a line |
//! | `lights` | `view::line::lights` | `/lines/{phone}` |
//! | `parts` | `view::steps::parts` | `/lines/{phone}/login/{part}` |
//! | `checks` | `view::line::checks` | `/lines/{phone}` |
//! | `budget` | `view::line::budget` | `/lines/{phone}` |
//! | `call-webhook` | `view::line::webhook` | `/lines/{phone}` |
//! | `line-calls` | `view::line::calls`, when calls came or went | `/lines/{phone}` |
//! | `sessions` | `view::sessions::sessions` | `/lines/{phone}/login` |
//! | `steps` | `view::steps::steps` | `/lines/{phone}/login/{part}` |
//! | `bots` | `view::bots::list` | `/bots` |
//! | `health` | `view::system::health` | `/system` |
//!
//! `event: levels`, `data: {"call":"…","telegram":30,"pbx":127}` in -dBov; `event: gone`, `data: {"path":"/"}`: what the page
//! shows is no more, go there; `event: append`, `data: {"id":"log","html":"<li>…</li>","most":1000}`: more lines of the log
//! (`view::log::lines`); a comment every 15 s. The page counts the stream as lost after 3 s without it and shows that by
//! itself.

pub(crate) mod access;
pub(crate) mod messages;

use std::collections::BTreeMap;

use tgtrunk_config::control::{
    BotCheck, BotPerson, CallInfo, CallRecord, Check, Found, LogTail, LoginInfo, RecordFilter,
};
use tgtrunk_config::{
    BotName, BotStatus, ClientStatus, CodecName, DtmfWay, GatewayStatus, Language, MenuRow, Phone, Said,
    TextKey, Words,
};

use crate::calls::Webhook;

/// What surrounds every page.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Of everything on it.
    pub(crate) language: Language,
    /// Light, dark, or as the device is.
    pub(crate) theme: Theme,
    /// Stands in every form. Empty where nobody is logged in.
    pub(crate) csrf: String,
    /// Milliseconds since 1970 (UTC).
    pub(crate) now_ms: u64,
    /// Seconds that the clock here is ahead of UTC at a time in milliseconds since 1970.
    pub(crate) offset_s: fn(u64) -> i32,
    /// Where the browser is: path and query.
    pub(crate) path: String,
    /// What the last form did, said once.
    pub(crate) notice: Option<Notice>,
    /// What is wrong with the whole installation.
    pub(crate) alerts: Vec<Alert>,
}

/// How bright the page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the device is.
    Auto,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// What a form did.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    /// Whether it did what was wanted.
    pub(crate) is_good: bool,
    /// What.
    pub(crate) said: Said,
}

/// Something that is wrong with more than one line, and its remedy.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    /// What, and what to do.
    pub(crate) said: Said,
    /// Where it is mended on this page: its address, and what stands on the link.
    pub(crate) fix: Option<(String, Said)>,
}

/// One of the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// tgtrunk-gateway.
    Gateway,
    /// tgtrunk-client.
    Client,
    /// tgtrunk-bot.
    Bot,
}

/// What was typed into a form and is shown again, with what is wrong with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Typed(pub(crate) BTreeMap<String, Entry>);

/// One field of a form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// What stands in it; `true` or `false` in a box.
    pub(crate) value: String,
    /// What is wrong with it, and what is wanted.
    pub(crate) problem: Option<Said>,
}

/// The page's own door.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoginPage {
    /// Where to go then: a local path.
    pub(crate) next: String,
    /// Why the last try did not succeed.
    pub(crate) problem: Option<Said>,
    /// How long no further try is taken, in seconds.
    pub(crate) wait_s: Option<u32>,
}

/// All lines at a glance.
#[derive(Clone, Debug)]
pub(crate) struct LinesPage {
    /// In the order of their SIP ports.
    pub(crate) lines: Vec<LineCard>,
    /// Since midnight here; None where no gateway tells it.
    pub(crate) today: Option<Today>,
}

/// Calls since midnight here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Today {
    /// How many.
    pub(crate) calls: u32,
    /// How many of them nobody answered.
    pub(crate) unanswered: u32,
    /// The mean opinion score of those that were answered, 100 to 500.
    pub(crate) mos_hundredths: Option<u32>,
}

/// One line with its lamps and its calls.
#[derive(Clone, Debug)]
pub(crate) struct LineCard {
    /// Its number.
    pub(crate) phone: Phone,
    /// What people here call it (`company`); empty where it has no name.
    pub(crate) name: String,
    /// Whether it is switched on.
    pub(crate) enabled: bool,
    /// Where the PBX reaches it, as `127.0.0.1:30001`. Empty where its settings cannot be read.
    pub(crate) sip: String,
    /// The PBX, as `127.0.0.1:5060`. Empty where its settings cannot be read.
    pub(crate) pbx: String,
    /// The gateway's lamps.
    pub(crate) gateway: GatewayStatus,
    /// The client's lamps.
    pub(crate) client: ClientStatus,
    /// Which bot it has.
    pub(crate) bot_name: Option<BotName>,
    /// Its bot's lamps; None without a bot.
    pub(crate) bot: Option<BotStatus>,
    /// The calls that are up, the oldest first.
    pub(crate) calls: Vec<CallInfo>,
    /// Why it does not run at all: its settings are wrong.
    pub(crate) problem: Option<Said>,
}

/// A number to add.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewLinePage {
    /// `phone`, `company`, `pbx`, `sip_port`; suggestions at first.
    pub(crate) typed: Typed,
    /// Why it was not added.
    pub(crate) problem: Option<Said>,
}

/// A line's state.
#[derive(Clone, Debug)]
pub(crate) struct LinePage {
    /// The line.
    pub(crate) card: LineCard,
    /// What the gateway and the client found; empty while they look.
    pub(crate) checks: Vec<Check>,
    /// Why there is nothing to show.
    pub(crate) checks_problem: Option<Said>,
    /// How the webhook does that is told of its calls, where there is one.
    pub(crate) webhook: Option<Webhook>,
}

/// A line's logins.
#[derive(Clone, Debug)]
pub(crate) struct SessionsPage {
    /// The line.
    pub(crate) card: LineCard,
    /// The gateway's; None where it does not tell.
    pub(crate) gateway: Option<LoginInfo>,
    /// The client's.
    pub(crate) client: Option<LoginInfo>,
    /// What organisations are called that write by the account.
    pub(crate) writers: Vec<String>,
}

/// One login, step by step.
#[derive(Clone, Debug)]
pub(crate) struct StepsPage {
    /// The line.
    pub(crate) card: LineCard,
    /// Whose session: the gateway's or the client's.
    pub(crate) part: Part,
    /// How far it is; None where the program does not run.
    pub(crate) info: Option<LoginInfo>,
    /// What organisations are called that write by the account.
    pub(crate) writers: Vec<String>,
}

/// Which bot a line has.
#[derive(Clone, Debug)]
pub(crate) struct LineBotPage {
    /// The line.
    pub(crate) card: LineCard,
    /// Bots that are there already.
    pub(crate) bots: Vec<BotStatus>,
    /// A new one.
    pub(crate) token: TokenForm,
}

/// A bot's token being checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenForm {
    /// As it was typed.
    pub(crate) token: String,
    /// What is wrong with it.
    pub(crate) problem: Option<Said>,
    /// What Telegram says about it.
    pub(crate) found: Option<BotCheck>,
}

/// A line's texts in one language.
#[derive(Clone, Debug)]
pub(crate) struct TextsPage {
    /// The line.
    pub(crate) card: LineCard,
    /// The language of the texts.
    pub(crate) language: Language,
    /// In the order of [`TextKey::ALL`].
    pub(crate) texts: Vec<TextEntry>,
    /// What the preview fills in.
    pub(crate) words: Words,
    /// Named rows above the keypad.
    pub(crate) menu: Vec<MenuRow>,
    /// Whether the card has its button.
    pub(crate) call_back: bool,
}

/// One text.
#[derive(Clone, Debug)]
pub(crate) struct TextEntry {
    /// Which.
    pub(crate) key: TextKey,
    /// The line's own; empty for the default.
    pub(crate) own: String,
    /// What is wrong with it.
    pub(crate) problem: Option<Said>,
}

/// What the PBX wants to know of a line.
#[derive(Clone, Debug)]
pub(crate) struct PbxPage {
    /// The line.
    pub(crate) card: LineCard,
    /// What the PBX sees as the dialled number of calls from Telegram (`pbx_user`).
    pub(crate) pbx_user: String,
    /// What the line offers, in its order.
    pub(crate) codecs: Vec<CodecName>,
    /// How keys go to the PBX.
    pub(crate) dtmf: DtmfWay,
}

/// A line's settings.
#[derive(Clone, Debug)]
pub(crate) struct LineSettingsPage {
    /// The line.
    pub(crate) card: LineCard,
    /// The keys of [`super::setting::LINE`]; what is not there is at its default.
    pub(crate) typed: Typed,
    /// What is wrong with the file as a whole.
    pub(crate) problem: Option<Said>,
}

/// Calls that are up, and calls that were.
#[derive(Clone, Debug)]
pub(crate) struct CallsPage {
    /// Up now, with the names of their lines.
    pub(crate) live: Vec<CallInfo>,
    /// All lines, for the filter: number and name.
    pub(crate) lines: Vec<(Phone, String)>,
    /// What was asked for.
    pub(crate) filter: RecordFilter,
    /// The filter's days as they were typed, `2026-11-26` or empty.
    pub(crate) days: (String, String),
    /// The newest first.
    pub(crate) records: Vec<CallRecord>,
    /// How many match in all.
    pub(crate) total: u64,
    /// Why there are none to show.
    pub(crate) problem: Option<Said>,
}

/// All bots.
#[derive(Clone, Debug)]
pub(crate) struct BotsPage {
    /// Those that are there.
    pub(crate) bots: Vec<BotCard>,
    /// A new one.
    pub(crate) token: TokenForm,
    /// What is wrong with bots that do not run.
    pub(crate) problems: Vec<Said>,
}

/// One bot.
#[derive(Clone, Debug)]
pub(crate) struct BotCard {
    /// Its lamps and its name.
    pub(crate) status: BotStatus,
    /// Who wrote to it; None where the bot does not tell.
    pub(crate) people: Option<Vec<BotPerson>>,
}

/// The installation.
#[derive(Clone, Debug)]
pub(crate) struct SystemPage {
    /// What was looked at: programs, disk, clock, Telegram.
    pub(crate) health: Vec<Health>,
    /// The keys of [`super::setting::SYSTEM`]; what is not there is at its default.
    pub(crate) typed: Typed,
    /// What is wrong with `tgtrunk.toml` as a whole.
    pub(crate) problem: Option<Said>,
    /// The form of a new password, where it was refused: `old`, `new`, `again`.
    pub(crate) password: Typed,
    /// Where `tgtrunk.toml` is.
    pub(crate) settings_file: String,
    /// Where the state is.
    pub(crate) state_dir: String,
    /// Of the programs.
    pub(crate) version: String,
    /// Of Telegram's schema.
    pub(crate) layer: i32,
}

/// One thing of the installation that was looked at.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    /// What.
    pub(crate) name: Said,
    /// How it is.
    pub(crate) found: Found,
    /// In words or figures, with the remedy where it is bad.
    pub(crate) said: Said,
}

/// The end of a program's log.
#[derive(Clone, Debug)]
pub(crate) struct LogPage {
    /// Which program's.
    pub(crate) part: Part,
    /// What it logged.
    pub(crate) tail: LogTail,
    /// Why there is nothing to show.
    pub(crate) problem: Option<Said>,
}

/// Nothing else can be shown.
#[derive(Clone, Debug)]
pub(crate) struct ErrorPage {
    /// The HTTP status.
    pub(crate) status: u16,
    /// What happened and what to do.
    pub(crate) said: Said,
}

impl Part {
    /// All three.
    pub(crate) const ALL: [Self; 3] = [Self::Gateway, Self::Client, Self::Bot];

    /// The word for it in addresses.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Client => "client",
            Self::Bot => "bot",
        }
    }
}

impl Theme {
    /// The word for it in forms and cookies.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The theme of a word; as the device is for anything else.
    pub(crate) fn from_word(word: &str) -> Self {
        match word {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::Auto,
        }
    }
}

impl Typed {
    /// What stands in a field; empty where nothing was typed.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |entry| entry.value.as_str())
    }

    /// What is wrong with a field.
    pub(crate) fn problem(&self, name: &str) -> Option<&Said> {
        self.0.get(name)?.problem.as_ref()
    }

    /// Fills a field in.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.entry(name.to_owned()).or_default().value = value.into();
    }

    /// Notes what is wrong with a field.
    pub(crate) fn refuse(&mut self, name: &str, problem: Said) {
        self.0.entry(name.to_owned()).or_default().problem = Some(problem);
    }
}
