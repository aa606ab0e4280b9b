//! What the sheets of "Access" show.

use std::sync::Arc;

use tgtrunk_config::{Phone, Said};
use tgtrunk_messages::InstanceId;

use crate::api::directory::{Directory, Life, OrganisationFace, RecipientFace, Wrong};
use crate::api::partner;
use crate::page::fields::Fields;
use crate::page::model::Typed;
use crate::page::model::access::{
    NOTIFICATIONS, NotificationsPage, OrganisationPage, OrganisationsPage, PEOPLE, PartnerPage, PeoplePage,
    PersonPage, TokensPage,
};
use crate::page::office::Office;
use crate::page::view::access::people::{matches, none};

impl Office {
    /// Tokens, organisations and people, once the client works.
    pub(crate) fn directory(&self) -> Result<Arc<Directory>, Wrong> {
        self.core.api().map(|api| api.directory()).map_err(|said| Wrong { field: None, said })
    }

    /// What organisations are called that write by an account; none where that is not known.
    pub(crate) async fn writers(&self, phone: Option<&Phone>, instance: Option<InstanceId>) -> Vec<String> {
        match self.directory() {
            Ok(directory) => directory.writers(phone, instance).await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    pub(super) async fn tokens_page(&self, typed: Typed) -> TokensPage {
        let directory = match self.directory() {
            Ok(directory) => directory,
            Err(wrong) => return TokensPage { typed, problem: Some(wrong.said), ..TokensPage::default() },
        };
        let (tokens, problem) = parted(directory.all_tokens().await);
        let (address, is_served) = directory.address();
        let (address, senders) = (address.to_owned(), directory.sender_choices());
        TokensPage { tokens, senders, address, is_served, typed, made: None, problem }
    }

    pub(super) async fn partner_page(&self) -> PartnerPage {
        let api = match self.core.api() {
            Ok(api) => api,
            Err(said) => return PartnerPage { problem: Some(said), ..PartnerPage::default() },
        };
        let (instances, problem) = match api.instances().await {
            Ok(all) => (all.into_iter().filter(|one| one.line.is_none()).collect(), None),
            Err(refusal) => (Vec::new(), Some(refusal.said())),
        };
        let (since_ms, unread) = match partner::since_ms(&self.state) {
            Ok(since_ms) => (since_ms, None),
            Err(error) => (None, Some(unreadable(&error))),
        };
        let directory = api.directory();
        let (address, is_served) = directory.address();
        let (address, problem) = (address.to_owned(), problem.or(unread));
        PartnerPage { since_ms, instances, address, is_served, made: None, problem }
    }

    pub(super) async fn organisations_page(&self) -> OrganisationsPage {
        let (organisations, problem) = parted(self.all_organisations().await);
        OrganisationsPage { organisations, problem }
    }

    async fn all_organisations(&self) -> Result<Vec<OrganisationFace>, Wrong> {
        self.directory()?.all_organisations().await
    }

    /// One organisation, or a new one; none where there is no such.
    pub(super) async fn organisation_page(&self, id: Option<i64>) -> Option<OrganisationPage> {
        let (all, problem) = parted(self.all_organisations().await);
        let face = all.into_iter().find(|one| Some(one.id) == id);
        if face.is_none() && id.is_some() && problem.is_none() {
            return None;
        }
        let mut typed = Typed::default();
        if let Some(one) = &face {
            typed.set("name", one.name.as_str());
            typed.set("sender", one.sender.clone().unwrap_or_default());
            typed.set("bot", one.bot.clone().unwrap_or_default());
            typed.set("channel", one.channel.unwrap_or_default());
            typed.set("api_id", one.api_id.map(|id| id.to_string()).unwrap_or_default());
        }
        let senders = self.directory().map(|directory| directory.sender_choices()).unwrap_or_default();
        let bots = self.hub.snapshot().bot.keys().map(ToString::to_string).collect();
        Some(OrganisationPage { face, senders, bots, typed, problem })
    }

    pub(super) async fn people_page(&self, asked: &Fields) -> PeoplePage {
        let text: String = asked.line("text").chars().take(100).collect();
        let organisation: Option<i64> = asked.line("organisation").parse().ok();
        let (read, problem) = match self.everybody().await {
            Ok(read) => (read, None),
            Err(wrong) => ((Vec::new(), none()), Some(wrong.said)),
        };
        let (all, keys) = read;
        let total = all.len();
        let is_wanted = |one: &RecipientFace| {
            organisation.is_none_or(|wanted| one.organisation == Some(wanted)) && matches(one, &text)
        };
        let mut people: Vec<RecipientFace> = all.into_iter().filter(is_wanted).collect();
        people.sort_by_cached_key(|one| one.title.to_lowercase());
        let found = people.len();
        let page = asked.line("page").parse().unwrap_or(1).clamp(1, found.div_ceil(PEOPLE).max(1));
        let people = people.into_iter().skip((page - 1) * PEOPLE).take(PEOPLE).collect();
        let organisations = self.names().await;
        PeoplePage { people, organisations, keys, text, organisation, page, found, total, problem }
    }

    async fn everybody(&self) -> Result<(Vec<RecipientFace>, crate::api::directory::Keys), Wrong> {
        self.directory()?.all_recipients().await
    }

    /// What organisations are called.
    async fn names(&self) -> Vec<(i64, String)> {
        let all = self.all_organisations().await.unwrap_or_default();
        all.into_iter().map(|one| (one.id, one.name)).collect()
    }

    /// Somebody, or somebody new of whom the address says something; none where there is nobody.
    pub(super) async fn person_page(&self, id: Option<i64>, asked: &Fields) -> Option<PersonPage> {
        let (read, problem) = match self.everybody().await {
            Ok(read) => (read, None),
            Err(wrong) => ((Vec::new(), none()), Some(wrong.said)),
        };
        let (all, keys) = read;
        let face = all.into_iter().find(|one| Some(one.id) == id);
        if face.is_none() && id.is_some() && problem.is_none() {
            return None;
        }
        let organisations = self.names().await;
        let mut typed = Typed::default();
        match &face {
            Some(one) => {
                typed.set("title", one.title.as_str());
                typed.set("phone", one.phone.clone().unwrap_or_default());
                typed.set("dialog", one.dialog.clone().unwrap_or_default());
                typed.set("key", one.key.clone().unwrap_or_default());
                typed.set("organisation", one.organisation.map(|id| id.to_string()).unwrap_or_default());
                typed.set("notify", one.is_notified.to_string());
            }
            None => {
                typed.set("title", asked.line("title"));
                typed.set("key", asked.line("key"));
                // Where there is one organisation, everybody is of it.
                if let [(only, _)] = organisations[..] {
                    typed.set("organisation", only.to_string());
                }
            }
        }
        Some(PersonPage { face, organisations, keys, typed, problem })
    }

    pub(super) async fn notifications_page(&self, asked: &Fields) -> NotificationsPage {
        let life = Life::ALL.into_iter().find(|life| life.word() == asked.line("state"));
        let before = asked.line("before").parse().ok().filter(|before| *before > 0);
        let limit = i64::try_from(NOTIFICATIONS).unwrap_or(i64::MAX).saturating_add(1);
        let found = match self.directory() {
            Ok(directory) => directory.browse(before.unwrap_or(i64::MAX), limit, life).await,
            Err(wrong) => Err(wrong),
        };
        let is_older = before.is_some();
        match found {
            Ok((mut rows, counts)) => {
                let has_more = rows.len() > NOTIFICATIONS;
                rows.truncate(NOTIFICATIONS);
                let next = rows.last().filter(|_| has_more).map(|row| row.id);
                NotificationsPage { rows, counts, life, is_older, next, problem: None }
            }
            Err(wrong) => NotificationsPage {
                life,
                is_older,
                problem: Some(wrong.said),
                ..NotificationsPage::default()
            },
        }
    }
}

/// What there is, or nothing and why.
fn parted<T>(read: Result<Vec<T>, Wrong>) -> (Vec<T>, Option<Said>) {
    match read {
        Ok(all) => (all, None),
        Err(wrong) => (Vec::new(), Some(wrong.said)),
    }
}

fn unreadable(error: &std::io::Error) -> Said {
    Said::new(
        format!("Whether there is a partner's token cannot be read: {error}"),
        format!("Не удалось узнать, есть ли токен партнёра: {error}"),
    )
}
