//! Every method by its name: how it is called, how often it may be, how the instance must stand, and who does it.

use std::future::{Future, ready};
use std::pin::Pin;

use super::answer::Answer;
use super::call::{Call, PartnerCall};
use super::error::Failed;
use super::{account, groups, journals, partner, queues, receiving, sending, service};
use crate::standing::Standing;

/// A method of an instance.
pub(super) struct Method {
    /// As the documentation writes it.
    pub(super) name: &'static str,
    /// By which verbs of HTTP it is called.
    pub(super) verbs: &'static [&'static str],
    /// How often it may be called: times a second.
    pub(super) rps: f64,
    /// How the instance must stand.
    pub(super) needs: Needs,
    /// What its body is.
    pub(super) takes: Takes,
    /// Who does it.
    pub(super) run: fn(Call) -> Doing,
}

/// A method of the partner.
pub(super) struct PartnerMethod {
    /// As the documentation writes it.
    pub(super) name: &'static str,
    /// By which verbs of HTTP it is called.
    pub(super) verbs: &'static [&'static str],
    /// Who does it.
    pub(super) run: fn(PartnerCall) -> Doing,
}

/// How an instance must stand for a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// However it likes.
    Nothing,
    /// Authorized; Telegram may limit it.
    Session,
    /// Authorized, and free to turn to strangers.
    Trust,
}

/// What a method's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// JSON.
    Json,
    /// A form with a file.
    Form,
    /// A file.
    File,
}

type Doing = Pin<Box<dyn Future<Output = Answer> + Send>>;

const GET: &[&str] = &["GET"];
const POST: &[&str] = &["POST"];
const DELETE: &[&str] = &["DELETE"];
const GET_DELETE: &[&str] = &["GET", "DELETE"];

macro_rules! methods {
    ($kind:ident: $(($name:literal, $verbs:ident, $rps:literal, $needs:ident, $takes:ident, $run:path),)+) => {
        &[$($kind {
            name: $name,
            verbs: $verbs,
            rps: $rps,
            needs: Needs::$needs,
            takes: Takes::$takes,
            run: |call| Box::pin($run(call)),
        }),+]
    };
}

/// The methods of an instance. Where the documentation tells no pace, it is ten times a second.
#[rustfmt::skip]
pub(super) static METHODS: &[Method] = methods![Method:
    // Account
    ("qr", GET, 3.0, Nothing, Json, account::qr),
    ("startAuthorization", POST, 1.0, Nothing, Json, account::start_authorization),
    ("sendAuthorizationCode", POST, 1.0, Nothing, Json, account::send_authorization_code),
    ("sendAuthorizationPassword", POST, 1.0, Nothing, Json, account::send_authorization_password),
    ("getSettings", GET, 1.0, Nothing, Json, account::settings),
    ("setSettings", POST, 1.0, Nothing, Json, account::set_settings),
    ("getStateInstance", GET, 1.0, Nothing, Json, account::state_instance),
    ("reboot", GET, 1.0, Nothing, Json, account::reboot),
    ("logout", GET, 1.0, Nothing, Json, account::logout),
    ("getAccountSettings", GET, 1.0, Nothing, Json, account::account_settings),
    ("setProfilePicture", POST, 0.1, Session, Form, account::set_profile_picture),
    ("updateApiToken", GET, 1.0, Nothing, Json, account::update_api_token),
    // Sending
    ("sendMessage", POST, 50.0, Nothing, Json, sending::send_message),
    ("sendFileByUpload", POST, 50.0, Nothing, Form, sending::send_file_by_upload),
    ("sendFileByUrl", POST, 50.0, Nothing, Json, sending::send_file_by_url),
    ("uploadFile", POST, 10.0, Nothing, File, sending::upload_file),
    ("sendLocation", POST, 50.0, Nothing, Json, sending::send_location),
    ("sendContact", POST, 50.0, Nothing, Json, sending::send_contact),
    ("sendPoll", POST, 50.0, Nothing, Json, sending::send_poll),
    ("forwardMessages", POST, 50.0, Nothing, Json, sending::forward_messages),
    // Receiving
    ("receiveNotification", GET, 100.0, Nothing, Json, receiving::receive_notification),
    ("deleteNotification", DELETE, 100.0, Nothing, Json, receiving::delete_notification),
    ("downloadFile", POST, 5.0, Nothing, Json, receiving::download_file),
    // Journals
    ("getChatHistory", POST, 1.0, Nothing, Json, journals::chat_history),
    ("getMessage", POST, 1.0, Nothing, Json, journals::message),
    ("lastIncomingMessages", GET, 1.0, Nothing, Json, journals::last_incoming_messages),
    ("lastOutgoingMessages", GET, 1.0, Nothing, Json, journals::last_outgoing_messages),
    // Queues
    ("getMessagesCount", GET, 1.0, Nothing, Json, queues::messages_count),
    ("showMessagesQueue", GET, 1.0, Nothing, Json, queues::show_messages_queue),
    ("clearMessagesQueue", GET, 1.0, Nothing, Json, queues::clear_messages_queue),
    ("getWebhooksCount", GET, 1.0, Nothing, Json, queues::webhooks_count),
    ("clearWebhooksQueue", GET_DELETE, 1.0, Nothing, Json, queues::clear_webhooks_queue),
    // Marks
    ("readChat", POST, 10.0, Session, Json, service::read_chat),
    // Groups
    ("createGroup", POST, 10.0, Trust, Json, groups::create_group),
    ("updateGroupName", POST, 10.0, Session, Json, groups::update_group_name),
    ("updateGroupSettings", POST, 10.0, Session, Json, groups::update_group_settings),
    ("getGroupData", POST, 10.0, Session, Json, groups::group_data),
    ("addGroupParticipant", POST, 10.0, Trust, Json, groups::add_group_participant),
    ("removeGroupParticipant", POST, 10.0, Session, Json, groups::remove_group_participant),
    ("setGroupAdmin", POST, 10.0, Session, Json, groups::set_group_admin),
    ("removeAdmin", POST, 10.0, Session, Json, groups::remove_admin),
    ("setGroupPicture", POST, 10.0, Session, Form, groups::set_group_picture),
    ("leaveGroup", POST, 10.0, Session, Json, groups::leave_group),
    // Service
    ("checkAccount", POST, 10.0, Trust, Json, service::check_account),
    ("getAvatar", POST, 10.0, Session, Json, service::avatar),
    ("getContacts", GET, 10.0, Session, Json, service::contacts),
    ("getContactInfo", POST, 10.0, Session, Json, service::contact_info),
    ("getChats", GET, 10.0, Session, Json, service::chats),
    ("editMessage", POST, 10.0, Nothing, Json, service::edit_message),
    ("deleteMessage", POST, 10.0, Nothing, Json, service::delete_message),
    ("archiveChat", POST, 10.0, Session, Json, service::archive_chat),
    ("unarchiveChat", POST, 10.0, Session, Json, service::unarchive_chat),
    ("sendTyping", POST, 10.0, Session, Json, service::send_typing),
    // What clients of the vendor's other messengers call.
    ("checkWhatsapp", POST, 10.0, Trust, Json, service::check_whatsapp),
    ("getWaSettings", GET, 1.0, Nothing, Json, account::account_settings),
    ("getAuthorizationCode", POST, 1.0, Nothing, Json, account::start_authorization),
    ("sendLink", POST, 50.0, Nothing, Json, sending::send_link),
    ("getDeviceInfo", GET, 1.0, Nothing, Json, account::device_info),
    ("addContact", POST, 10.0, Trust, Json, service::add_contact),
    ("editContact", POST, 10.0, Session, Json, service::edit_contact),
    ("deleteContact", POST, 10.0, Session, Json, service::delete_contact),
];

/// The methods of the partner.
pub(super) static PARTNER: &[PartnerMethod] = &[
    PartnerMethod {
        name: "getInstances",
        verbs: GET,
        run: |call| Box::pin(ready(partner::instances(&call))),
    },
    PartnerMethod {
        name: "createInstance",
        verbs: POST,
        run: |call| Box::pin(partner::create_instance(call)),
    },
    PartnerMethod {
        name: "deleteInstanceAccount",
        verbs: POST,
        run: |call| Box::pin(partner::delete_instance_account(call)),
    },
];

/// A method by its name, however it is capitalized. The official client of Python writes `Async` behind some.
pub(super) fn find(name: &str) -> Option<&'static Method> {
    let named = |name: &str| METHODS.iter().find(|method| method.name.eq_ignore_ascii_case(name));
    named(name).or_else(|| named(without_async(name)?))
}

/// A method of the partner by its name.
pub(super) fn find_partner(name: &str) -> Option<&'static PartnerMethod> {
    let named = |name: &str| PARTNER.iter().find(|method| method.name.eq_ignore_ascii_case(name));
    named(name).or_else(|| named(without_async(name)?))
}

fn without_async(name: &str) -> Option<&str> {
    let (stem, suffix) = name.split_at_checked(name.len().checked_sub("Async".len())?)?;
    suffix.eq_ignore_ascii_case("Async").then_some(stem)
}

impl Needs {
    /// Whether an instance that stands so can do it.
    ///
    /// # Errors
    /// Why it cannot.
    pub(super) fn check(self, standing: Standing) -> Result<(), Failed> {
        let is_able = match (self, standing) {
            (Self::Nothing, _) | (_, Standing::Authorized) => true,
            (Self::Session, standing) => standing == Standing::Suspended,
            (Self::Trust, _) => false,
        };
        if is_able { Ok(()) } else { Err(Failed::standing(standing)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_stands_once() {
        assert_eq!((METHODS.len(), PARTNER.len()), (53 + 8, 3));
        for method in METHODS {
            let found = find(&method.name.to_uppercase()).unwrap();
            assert_eq!(found.name, method.name);
            assert_eq!(find(&format!("{}Async", method.name)).unwrap().name, method.name);
        }
        assert_eq!(find_partner("GETINSTANCES").unwrap().name, "getInstances");
        for name in ["", "Async", "sendMessages", "ж", "жAsync"] {
            assert!(find(name).is_none(), "{name}");
        }
    }

    #[test]
    fn a_limited_account_does_not_turn_to_strangers_and_does_the_rest() {
        for (needs, standing, is_able) in [
            (Needs::Nothing, Standing::Blocked, true),
            (Needs::Session, Standing::Authorized, true),
            (Needs::Session, Standing::Suspended, true),
            (Needs::Session, Standing::Starting, false),
            (Needs::Session, Standing::NotAuthorized, false),
            (Needs::Trust, Standing::Authorized, true),
            (Needs::Trust, Standing::Suspended, false),
        ] {
            assert_eq!(needs.check(standing).is_ok(), is_able, "{needs:?} {standing:?}");
        }
        assert_eq!(Needs::Trust.check(Standing::Suspended).unwrap_err().status.as_u16(), 403);
    }
}
