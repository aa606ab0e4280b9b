//! What the place "Access" shows: tokens of the API, organisations, the people who are notified, what was sent to them, and
//! the partner.
//!
//! | GET | shows |
//! |---|---|
//! | `/access` | [`TokensPage`] |
//! | `/access/organisations` | [`OrganisationsPage`] |
//! | `/access/organisations/{new,id}` | [`OrganisationPage`] |
//! | `/access/recipients?text=&organisation=&page=` | [`PeoplePage`]; `page` counts from 1 |
//! | `/access/recipients/{new?key=&title=,id}` | [`PersonPage`] |
//! | `/access/notifications?state=&before=` | [`NotificationsPage`]; `state` is a word of [`Life`], the latest come first |
//! | `/access/partner` | [`PartnerPage`] |
//!
//! | POST | fields |
//! |---|---|
//! | `/access/tokens` | `label`, `scope` = `all`, a line's number or an instance's |
//! | `/access/tokens/{n}/rename` | `label` |
//! | `/access/tokens/{n}/revoke` | |
//! | `/access/partner`, `/access/partner/revoke` | |
//! | `/access/organisations/{new,id}` | `name`, `sender`, `bot`, `api_id`, `api_hash`, `forget_hash` |
//! | `/access/recipients/{new,id}` | `title`, `phone`, `dialog`, `key`, `organisation`, `notify` |
//! | `/access/recipients/{id}/switch` | `notify` = `true`, `false` |
//! | `/access/{organisations,recipients}/{id}/delete` | |
//! | `/access/notifications/{id}/{repeat,skip}` | |
//!
//! A secret that was just made is in the answer to its form and nowhere else.

use std::collections::BTreeMap;

use tgtrunk_config::control::{ActionTokenInfo, InstanceInfo};
use tgtrunk_config::{Password, Said};

use super::Typed;
use crate::api::directory::{Keys, Life, NotificationFace, OrganisationFace, RecipientFace, SenderChoice};

/// People on one page.
pub(crate) const PEOPLE: usize = 50;
/// Notifications on one page.
pub(crate) const NOTIFICATIONS: usize = 50;

/// Tokens of the API.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokensPage {
    pub(crate) tokens: Vec<ActionTokenInfo>,
    /// For whom there may be one.
    pub(crate) senders: Vec<SenderChoice>,
    /// Where programs call.
    pub(crate) address: String,
    /// Whether anybody listens there.
    pub(crate) is_served: bool,
    /// A new one: `label`, `scope`.
    pub(crate) typed: Typed,
    pub(crate) made: Option<Secret>,
    /// Why there is nothing to show.
    pub(crate) problem: Option<Said>,
}

/// A token that was just made, shown this once.
#[derive(Clone, Debug)]
pub(crate) struct Secret {
    pub(crate) name: String,
    pub(crate) token: Password,
    pub(crate) address: String,
}

/// All organisations.
#[derive(Clone, Debug, Default)]
pub(crate) struct OrganisationsPage {
    pub(crate) organisations: Vec<OrganisationFace>,
    pub(crate) problem: Option<Said>,
}

/// One organisation, or a new one.
#[derive(Clone, Debug, Default)]
pub(crate) struct OrganisationPage {
    /// As it is kept; none for a new one.
    pub(crate) face: Option<OrganisationFace>,
    pub(crate) senders: Vec<SenderChoice>,
    pub(crate) bots: Vec<String>,
    pub(crate) typed: Typed,
    pub(crate) problem: Option<Said>,
}

/// Everybody who is notified.
#[derive(Clone, Debug)]
pub(crate) struct PeoplePage {
    /// Those of this page.
    pub(crate) people: Vec<RecipientFace>,
    /// All organisations: number and name.
    pub(crate) organisations: Vec<(i64, String)>,
    pub(crate) keys: Keys,
    /// What was looked for.
    pub(crate) text: String,
    pub(crate) organisation: Option<i64>,
    /// From 1.
    pub(crate) page: usize,
    /// How many match, and how many there are.
    pub(crate) found: usize,
    pub(crate) total: usize,
    pub(crate) problem: Option<Said>,
}

/// Somebody who is notified, or somebody new.
#[derive(Clone, Debug)]
pub(crate) struct PersonPage {
    /// As they are kept; none for somebody new.
    pub(crate) face: Option<RecipientFace>,
    pub(crate) organisations: Vec<(i64, String)>,
    pub(crate) keys: Keys,
    pub(crate) typed: Typed,
    pub(crate) problem: Option<Said>,
}

/// What was to be sent, and what became of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct NotificationsPage {
    /// The latest first.
    pub(crate) rows: Vec<NotificationFace>,
    /// How many there are of each kind.
    pub(crate) counts: BTreeMap<Life, u64>,
    /// Those of one kind alone.
    pub(crate) life: Option<Life>,
    /// Whether these are not the latest.
    pub(crate) is_older: bool,
    /// Before which number there are more.
    pub(crate) next: Option<i64>,
    pub(crate) problem: Option<Said>,
}

/// The partner, whose program makes instances.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartnerPage {
    /// When its token was made, in milliseconds since 1970; none where there is none.
    pub(crate) since_ms: Option<u64>,
    /// The instances that are no lines.
    pub(crate) instances: Vec<InstanceInfo>,
    pub(crate) address: String,
    pub(crate) is_served: bool,
    pub(crate) made: Option<Secret>,
    pub(crate) problem: Option<Said>,
}
