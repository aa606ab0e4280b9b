//! A bot as an instance: its queue, its journal and its files, beside what else is in its database.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};
use tgtrunk_config::control::{Answer, Refusal, RefusalCode};
use tgtrunk_config::{BotName, Said, Settings as Config, StateDir};
use tgtrunk_messages::{
    Asked, Former, House, Instance, InstanceId, InstanceKind, Office, Options, Refused, Settings, Token,
};

use crate::admission;
use crate::messenger::BotMessenger;
use crate::store::Store;

/// An address for documentation (RFC 5737). Nothing is sent there.
const FAR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);
/// Names of public chats that Telegram is asked for in a day: it limits bots less than accounts.
const CHECKS_PER_DAY: u32 = 10_000;
/// How long it is believed who has a name. Names are sold and taken by others, and what is written to one is nobody else's: no
/// program knows of that any sooner. Telegram does not mind being asked by a bot.
const FOUND_LIFE: Duration = Duration::from_secs(60);
/// Files that are kept for nobody are there for as long as sending or fetching them takes.
const SHORTEST_FILE_LIFE: Duration = Duration::from_secs(600);
/// What nobody fetches here: updates go to programs by the Bot API.
const SWITCHES: [&str; 9] = [
    "incomingWebhook",
    "outgoingWebhook",
    "outgoingMessageWebhook",
    "outgoingAPIMessageWebhook",
    "stateWebhook",
    "editedMessageWebhook",
    "deletedMessageWebhook",
    "pollMessageWebhook",
    "incomingCallWebhook",
];

/// Opens the instance in the bot's database; it goes on with what it had under way.
///
/// # Errors
/// A sentence.
pub(crate) async fn open(
    messenger: Arc<BotMessenger>,
    store: &Store,
    config: &Config,
    state: &StateDir,
    bot: &BotName,
) -> Result<Instance, Said> {
    let options = options(config, state, bot);
    let tables = store.messages().await.map_err(|error| stuck(&error.to_string()))?;
    let told = |refused: Refused| stuck(&refused.to_string());
    let instance = Instance::open(tables, messenger as Arc<_>, options).await.map_err(told)?;
    let off = |switch: &&str| ((*switch).to_owned(), Value::from("no"));
    let is_on = SWITCHES.iter().any(|switch| instance.settings().is_on(switch));
    if is_on {
        let switches: Map<_, _> = SWITCHES.iter().map(off).collect();
        instance.change_settings(&switches).await.map_err(told)?;
    }
    Ok(instance)
}

fn options(config: &Config, state: &StateDir, bot: &BotName) -> Options {
    Options {
        checks_per_day: CHECKS_PER_DAY,
        found_life: FOUND_LIFE,
        journal_life: config.api.journal,
        file_life: config.api.files.max(SHORTEST_FILE_LIFE),
        outgoing_life: config.api.outgoing,
        files_most_bytes: u64::from(config.api.files_total_mb) << 20,
        disk_reserve_bytes: u64::from(config.api.disk_reserve_mb) << 20,
        own_ports: config.own_ports(),
        ..Options::new(
            InstanceKind::Bot,
            &format!("@{bot}"),
            state.bot_dir(bot).join("files"),
            &base(config.bot.api.listen),
        )
    }
}

/// What another program of ours asks of a bot's messages.
///
/// # Errors
/// The refusal: the bot is not led by programs, is still being opened, or its database does not answer.
pub(crate) async fn answer(
    instance: Result<Instance, Option<Said>>,
    is_served: bool,
    asked: Value,
) -> Result<Answer, Refusal> {
    let asked = serde_json::from_value::<Asked>(asked)
        .map_err(|error| Refusal { code: RefusalCode::BadRequest, message: format!("asked: {error}") })?;
    let instance = instance.map_err(|trouble| absent(trouble, is_served))?;
    let told = instance.answer(asked).await.map_err(admission::internal)?;
    serde_json::to_value(told).map(Answer::BotMessages).map_err(admission::internal)
}

/// Why a bot has no messages.
pub(crate) fn absent(trouble: Option<Said>, is_served: bool) -> Refusal {
    admission::internal(match (trouble, is_served) {
        (Some(trouble), _) => trouble.en,
        (None, true) => "the bot is starting".to_owned(),
        (None, false) => "the bot keeps no messages: set listen in [bot.api] in tgtrunk.toml".to_owned(),
    })
}

fn stuck(error: &str) -> Said {
    Said::new(
        format!(
            "the bot's messages cannot be opened: {error}; keypad and call-backs work, and it is tried again"
        ),
        "сообщения бота не открываются: проверьте место на диске и права на его папку; клавиши и обратные звонки работают, попытки повторяются",
    )
}

/// What links to files begin with.
fn base(listen: Option<SocketAddr>) -> String {
    let at = listen.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
    let ip = if at.ip().is_unspecified() { own().unwrap_or(Ipv4Addr::LOCALHOST.into()) } else { at.ip() };
    format!("http://{}", SocketAddr::new(ip, at.port()))
}

/// The address by which this machine reaches others.
fn own() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(FAR).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
}

/// All bots of this program, of which none is made by programs.
pub(crate) fn house() -> House {
    House::new(Arc::new(Nobody))
}

struct Nobody;

fn none() -> Refused {
    Refused::Bad("bots are added and removed by tgtrunk-bot add and remove".to_owned())
}

#[async_trait]
impl Office for Nobody {
    async fn create(&self, _: &str, _: Settings) -> Result<(InstanceId, Token), Refused> {
        Err(none())
    }

    async fn delete(&self, _: InstanceId) -> Result<(), Refused> {
        Err(none())
    }

    fn former(&self) -> Vec<Former> {
        Vec::new()
    }

    async fn reboot(&self, _: InstanceId) -> Result<(), Refused> {
        Err(none())
    }

    fn is_partner(&self, _: &str) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_believed_for_a_minute_and_nothing_is_fetched_from_our_own_ports() {
        let text = "[telegram]\napi_id = 1\napi_hash = \"0123456789abcdef0123456789abcdef\"\n[gateway]\nmetrics = \"9464\"\n\
            [bot.webhook]\nurl = \"https://example.org/\"\nlisten = \"127.0.0.1:8443\"\n[bot.api]\nlisten = \"127.0.0.1:8092\"\n\
            [page]\nlisten = \"127.0.0.1:8090\"\n[api]\nlisten = \"127.0.0.1:8091\"\ntls_listen = \"0.0.0.0:443\"\n";
        let config = Config::parse(text, std::path::Path::new("tgtrunk.toml")).unwrap();
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path()).unwrap();
        let options = options(&config, &state, &"acme_bot".parse().unwrap());
        assert_eq!(options.own_ports, [8091, 443, 8090, 9464, 8092, 8443]);
        assert_eq!(options.found_life, Duration::from_secs(60));
    }

    #[test]
    fn links_lead_to_where_programs_are_served() {
        assert_eq!(base(Some(([127, 0, 0, 1], 8092).into())), "http://127.0.0.1:8092");
        assert!(!base(Some(([0, 0, 0, 0], 8092).into())).contains("0.0.0.0"));
        assert!(base(Some("[::1]:8092".parse().unwrap())).starts_with("http://[::1]:"));
    }
}
