//! The place "Messages": what its pages show, gathered from the instances themselves, which are in this very program.

pub(super) mod act;
pub(super) mod bots;
pub(super) mod show;
pub(super) mod table;

use serde_json::Value;
use tgtrunk_config::{Language, Said};
use tgtrunk_messages::{
    Bookmark, Browse, ChatId, Content, Direction, Dropped, Glance, Head, Instance, InstanceId, MessageId,
    Refused, Seen, SendStatus, Signin, Standing,
};

use super::fields::Fields;
use super::model::Typed;
use super::model::messages::{
    AccessPage, COUNTED, InstanceCard, InstancePage, InstanceSettingsPage, JournalPage, LETTERS,
    MessagesPage, QUEUE_LINES, SigninPage, Way,
};
use super::office::Office;
use crate::api::Owned;
use crate::clock::unix_ms;

/// Longest text that is looked for, in characters.
const SOUGHT_CHARS: usize = 100;
/// The switches that do something, in the order in which they are shown.
pub(crate) const SWITCHES: [&str; 10] = [
    "incomingWebhook",
    "outgoingMessageWebhook",
    "outgoingAPIMessageWebhook",
    "outgoingWebhook",
    "editedMessageWebhook",
    "deletedMessageWebhook",
    "stateWebhook",
    "incomingCallWebhook",
    "markIncomingMessagesReaded",
    "markIncomingMessagesReadedOnReply",
];

/// Where a page of the journal begins.
#[derive(Clone, Debug)]
pub(crate) enum Begin {
    Newest,
    /// At the newest, for whoever has this before them.
    Seen(Seen),
    Before(Bookmark),
}

/// Why an instance is not shown.
pub(super) enum Absent {
    /// There is none of this number.
    Nothing,
    /// It cannot be asked now.
    Unable(Said),
}

impl Begin {
    /// As addresses have it.
    pub(crate) fn at(before: Option<Bookmark>) -> Self {
        before.map_or(Self::Newest, Self::Before)
    }

    pub(crate) fn before(&self) -> Option<Bookmark> {
        match self {
            Self::Newest | Self::Seen(_) => None,
            Self::Before(before) => Some(*before),
        }
    }
}

impl Office {
    /// All instances at a glance.
    pub(crate) async fn messages_page(&self) -> MessagesPage {
        let (owned, problem) = match self.core.api() {
            Ok(api) => (api.all_owned(), None),
            Err(said) => (Vec::new(), Some(said)),
        };
        let mut instances = Vec::new();
        for owned in owned {
            instances.push(card(&owned).await);
        }
        instances.extend(self.bot_cards().await);
        MessagesPage { instances, problem }
    }

    /// Changes whenever an instance may look another way; `of` is one of them, or all.
    pub(crate) fn messages_revision(&self, of: Option<i64>) -> Vec<(i64, Option<u64>)> {
        let Ok(api) = self.core.api() else { return Vec::new() };
        let all = api.all_owned().into_iter().filter(|owned| of.is_none_or(|id| id == owned.id.get()));
        all.map(|owned| (owned.id.get(), owned.instance.map(|instance| instance.revision()))).collect()
    }

    /// The instance of a number.
    pub(super) fn owned(&self, number: i64) -> Result<Owned, Absent> {
        let api = self.core.api().map_err(Absent::Unable)?;
        InstanceId::new(number).and_then(|id| api.one_owned(id)).ok_or(Absent::Nothing)
    }

    /// An instance at a glance.
    pub(crate) async fn instance_card(&self, owned: &Owned) -> InstanceCard {
        card(owned).await
    }

    /// An instance with its queues; `number` is the page of the outgoing queue, from 1.
    pub(crate) async fn instance_page(&self, owned: &Owned, number: u32) -> InstancePage {
        let page = number.clamp(1, 100_000) - 1;
        let mut page = InstancePage {
            card: card(owned).await,
            page,
            waiting: Vec::new(),
            queue_limit: 0,
            most: 0,
            dropped: Dropped::default(),
            head: None,
            webhook: String::new(),
            webhook_state: Default::default(),
            checks: (0, 0),
            delay_ms: 0,
            writers: self.writers(owned.phone.as_ref(), Some(owned.id)).await,
            programs: None,
        };
        if let Some(instance) = &owned.instance
            && let Err(refused) = fill(instance, &mut page).await
        {
            page.card.problem.get_or_insert(told(&refused));
        }
        page
    }

    /// The journal of an instance, or what is of one chat; `from` is where it begins.
    pub(crate) async fn journal_page(
        &self,
        owned: &Owned,
        browse: Browse,
        from: Begin,
        is_of_chat: bool,
    ) -> JournalPage {
        let before = from.before();
        let mut page = JournalPage {
            card: card(owned).await,
            browse,
            before,
            letters: Vec::new(),
            older: None,
            seen: None,
            chat_title: is_of_chat.then(String::new),
            problem: None,
        };
        let Some(instance) = &owned.instance else { return page };
        let leaf = match from {
            Begin::Seen(seen) => instance.leaf_again(&page.browse, &seen, LETTERS).await,
            Begin::Newest => instance.leaf(&page.browse, Bookmark::NEWEST, LETTERS).await,
            Begin::Before(before) => instance.leaf(&page.browse, before, LETTERS).await,
        };
        match leaf {
            Ok(leaf) => {
                page.seen = leaf.seen();
                (page.letters, page.older) = (leaf.records, leaf.older);
            }
            Err(refused) => page.problem = Some(told(&refused)),
        }
        if let Some(title) = &mut page.chat_title {
            let named = page.letters.iter().find(|letter| !letter.chat_title.is_empty());
            *title = named.map(|letter| letter.chat_title.clone()).unwrap_or_default();
        }
        page
    }

    pub(super) async fn instance_settings_page(&self, owned: &Owned) -> InstanceSettingsPage {
        let settings = owned.instance.as_ref().map(Instance::settings).unwrap_or_default();
        let mut typed = Typed::default();
        typed.set("webhookUrl", settings.webhook_url.clone());
        typed.set("delaySendMessagesMilliseconds", settings.delay_ms.to_string());
        for switch in SWITCHES {
            typed.set(switch, settings.is_on(switch).to_string());
        }
        InstanceSettingsPage { card: card(owned).await, settings, typed, problem: None }
    }

    pub(super) async fn access_page(&self, owned: &Owned, token: Option<String>) -> AccessPage {
        let api = self.core.api().ok();
        AccessPage {
            card: card(owned).await,
            base: api.as_ref().map(|api| api.base().to_owned()).unwrap_or_default(),
            is_served: api.is_some_and(|api| api.is_served()),
            token,
        }
    }

    /// The login of an instance without a line. A QR code is a new one each time that the old one is over.
    pub(crate) async fn signin_page(&self, owned: &Owned, way: Option<Way>) -> SigninPage {
        let mut page = SigninPage { card: card(owned).await, way, step: None };
        let is_out = matches!(page.card.standing, Standing::NotAuthorized | Standing::PendingPassword);
        if let (Some(instance), Some(Way::Qr), true) = (&owned.instance, way, is_out) {
            page.step = Some(instance.messenger().door().sign_in(Signin::Qr).await);
            page.card = card(owned).await;
        }
        page
    }
}

/// An instance at a glance.
pub(super) async fn card(owned: &Owned) -> InstanceCard {
    let mut card = InstanceCard {
        id: owned.id.get(),
        line: owned.line.clone(),
        bot: None,
        phone: owned.phone.as_ref().map(ToString::to_string).unwrap_or_default(),
        username: None,
        name: owned.name.clone(),
        standing: Standing::Starting,
        suspended_until_ms: None,
        has_token: owned.has_token,
        outgoing: 0,
        notifications: 0,
        last_ms: None,
        stuck: None,
        webhook_fails: None,
        webhook_is_example: false,
        left: None,
        rests: Vec::new(),
        problem: None,
    };
    if let Some(instance) = &owned.instance {
        let account = instance.messenger().account();
        card.standing = instance.standing();
        card.username = account.username;
        if !account.phone.is_empty() {
            card.phone = format!("+{}", account.phone.trim_start_matches('+'));
        }
        if card.name.is_empty() {
            card.name = account.name;
        }
        card.suspended_until_ms = instance.suspended_until_s().map(|s| ms(s * 1_000));
        if let Err(refused) = look(instance, &mut card).await {
            card.problem = Some(told(&refused));
        }
    }
    card
}

/// What an instance's tables tell.
async fn look(instance: &Instance, card: &mut InstanceCard) -> Result<(), Refused> {
    queue(card, instance.glance().await?);
    card.notifications = instance.notifications_up_to(COUNTED + 1).await?;
    let head = instance.head().await?;
    card.left = head.as_ref().filter(|head| is_left(head)).map(|head| head.fetched);
    let settings = instance.settings();
    card.webhook_is_example = settings.webhook_is_example();
    if settings.webhook().is_some() {
        card.webhook_fails = head.and_then(|head| head.last_error);
    }
    Ok(())
}

/// How an instance's queue does, wherever the instance is.
fn queue(card: &mut InstanceCard, glance: Glance) {
    card.outgoing = glance.outgoing;
    card.last_ms = glance.last_s.map(|s| ms(s * 1_000));
    card.stuck = glance.stuck;
    card.rests = glance.rests;
}

/// Whether a program is stuck at a notification.
pub(crate) fn is_left(head: &Head) -> bool {
    head.is_left(i64::try_from(unix_ms()).unwrap_or(i64::MAX))
}

async fn fill(instance: &Instance, page: &mut InstancePage) -> Result<(), Refused> {
    page.waiting = instance.waiting(page.page * QUEUE_LINES, QUEUE_LINES).await?;
    page.queue_limit = instance.queue_limit();
    page.most = instance.notification_limit();
    page.dropped = instance.dropped().await?;
    page.head = instance.head().await?;
    let settings = instance.settings();
    page.webhook = settings.webhook().map(site).unwrap_or_default().to_owned();
    page.delay_ms = settings.delay_ms;
    page.webhook_state = instance.webhook_state().await?;
    page.checks = instance.checks().await?;
    Ok(())
}

/// An address without what comes after its host, which may hold a secret.
pub(crate) fn site(url: &str) -> &str {
    let begin = url.find("://").map_or(0, |at| at + 3);
    let end = url[begin..].find(['/', '?', '#']).map_or(url.len(), |at| begin + at);
    // Nor is a password before the host shown.
    match url[begin..end].rfind('@') {
        Some(at) => &url[begin + at + 1..end],
        None => &url[..end],
    }
}

/// What an address asks of the journal, and from where on.
pub(crate) fn browse(asked: &Fields) -> (Browse, Option<Bookmark>) {
    let sought = |name| asked.line(name).chars().take(SOUGHT_CHARS).collect::<String>();
    let browse = Browse {
        direction: Direction::read(asked.line("direction")),
        chat: None,
        whom: sought("whom"),
        kind: Content::KINDS.contains(&asked.line("kind")).then(|| asked.line("kind").to_owned()),
        status: SendStatus::read(asked.line("status")),
        text: sought("text"),
    };
    (browse, bookmark(asked.line("before")))
}

/// The messages of one chat.
pub(crate) fn of_chat(chat: ChatId) -> Browse {
    Browse { chat: Some(chat), ..Browse::default() }
}

/// A place of the journal as addresses have it.
pub(crate) fn bookmark(text: &str) -> Option<Bookmark> {
    let (date_s, id) = text.split_once('-')?;
    Some(Bookmark { date_s: date_s.parse().ok()?, id: MessageId::new(id.parse().ok()?) })
}

/// The way of an address.
pub(crate) fn way(word: &str) -> Option<Way> {
    match word {
        "qr" => Some(Way::Qr),
        "code" => Some(Way::Code),
        _ => None,
    }
}

/// Milliseconds as the page counts them.
pub(crate) fn ms(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0)
}

/// Why something was not done.
pub(super) fn told(refused: &Refused) -> Said {
    let text = refused.to_string();
    let russian = super::view::messages::words::cause(Language::Russian, &text);
    Said::new(text, russian)
}

/// What is wrong with a setting, with the value and what is allowed.
pub(super) fn setting_problem(key: &str, given: &str, english: &str) -> Said {
    let russian = match key {
        "webhookUrl" => "нужен адрес, который начинается с http:// или https://, или пустое поле",
        "webhookUrlToken" => "нужна одна строка текста, не длиннее 2048 байт",
        "delaySendMessagesMilliseconds" => "нужно число миллисекунд от 500 до 600000",
        _ => "нужно «да» или «нет»",
    };
    let shown: String = given.chars().take(60).collect();
    Said::new(format!("'{key}' = “{shown}”: {english}"), format!("'{key}' = «{shown}»: {russian}"))
}

/// The values of a form as GREEN-API's settings have them, and what is wrong with each.
pub(super) fn settings_of(
    fields: &Fields,
    before: &tgtrunk_messages::Settings,
    typed: &mut Typed,
) -> Result<serde_json::Map<String, Value>, usize> {
    let (mut values, mut wrong) = (serde_json::Map::new(), 0);
    let mut keys = vec!["webhookUrl", "webhookUrlToken", "delaySendMessagesMilliseconds"];
    keys.extend(SWITCHES);
    for key in keys {
        let Some(given) = fields.given(key).map(str::trim) else { continue };
        let value: Value = match key {
            // A token that is not typed stays, unless it is to go.
            "webhookUrlToken" if given.is_empty() => {
                if fields.line("webhookUrlToken.clear") != "true" {
                    continue;
                }
                "".into()
            }
            _ if SWITCHES.contains(&key) => if given == "true" { "yes" } else { "no" }.into(),
            _ => given.into(),
        };
        if key != "webhookUrlToken" {
            typed.set(key, given);
        }
        let one: serde_json::Map<String, Value> = [(key.to_owned(), value.clone())].into_iter().collect();
        if let Err(error) = before.clone().change(&one) {
            let shown = if key == "webhookUrlToken" { super::load::VEIL } else { given };
            typed.refuse(key, setting_problem(key, shown, &error.want));
            wrong += 1;
        }
        values.insert(key.to_owned(), value);
    }
    if wrong > 0 { Err(wrong) } else { Ok(values) }
}

#[cfg(test)]
mod tests {
    use tgtrunk_messages::Settings;

    use super::*;

    #[test]
    fn what_is_wrong_in_a_form_names_the_key_the_value_and_what_is_allowed() {
        let pairs = [
            ("webhookUrl", "ftp://x"),
            ("delaySendMessagesMilliseconds", "12"),
            ("incomingWebhook", "true"),
            ("webhookUrlToken", ""),
        ];
        let fields = fields(&pairs);
        let mut typed = Typed::default();
        assert_eq!(settings_of(&fields, &Settings::default(), &mut typed), Err(2));
        let problem = typed.problem("webhookUrl").unwrap();
        assert_eq!(problem.en, "'webhookUrl' = “ftp://x”: must be an http:// or https:// address, or \"\"");
        assert!(problem.ru.starts_with("'webhookUrl' = «ftp://x»: нужен адрес"), "{}", problem.ru);
        let problem = typed.problem("delaySendMessagesMilliseconds").unwrap();
        assert!(problem.en.contains("“12”") && problem.en.contains("from 500 to 600000"), "{}", problem.en);
        assert_eq!(typed.value("delaySendMessagesMilliseconds"), "12", "what was typed stays");
    }

    #[test]
    fn a_token_that_is_not_typed_stays_and_one_that_is_to_go_goes() {
        let values = |pairs: &[(&str, &str)]| {
            settings_of(&fields(pairs), &Settings::default(), &mut Typed::default()).unwrap()
        };
        let pairs = [("webhookUrl", "https://example.org/hook"), ("webhookUrlToken", " ")];
        assert!(!values(&pairs).contains_key("webhookUrlToken"));
        let pairs = [("webhookUrlToken", ""), ("webhookUrlToken.clear", "true"), ("stateWebhook", "false")];
        let values = values(&pairs);
        assert_eq!((&values["webhookUrlToken"], &values["stateWebhook"]), (&"".into(), &"no".into()));
    }

    #[test]
    fn of_a_webhook_no_more_is_shown_than_its_host() {
        for (url, shown) in [
            ("https://example.org/hook?key=secret", "https://example.org"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("https://user:secret@example.org/x", "example.org"),
            ("https://example.org?key=secret", "https://example.org"),
        ] {
            assert_eq!(site(url), shown);
        }
    }

    #[test]
    fn an_address_asks_for_what_the_journal_knows_and_nothing_else() {
        let pairs = [
            ("direction", "outgoing"),
            ("kind", "image"),
            ("status", "failed"),
            ("whom", " Anna "),
            ("before", "1700000000-1700000000123"),
        ];
        let (found, before) = browse(&fields(&pairs));
        assert_eq!((found.direction, found.status), (Some(Direction::Outgoing), Some(SendStatus::Failed)));
        assert_eq!((found.kind.as_deref(), found.whom.as_str()), (Some("image"), "Anna"));
        assert_eq!(before.unwrap().id.get(), 1_700_000_000_123);
        let odd = [("direction", "up"), ("kind", "x"), ("status", "y"), ("before", "1")];
        assert_eq!(browse(&fields(&odd)), (Browse::default(), None));
    }

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Fields::new(pairs.collect()).unwrap()
    }
}
