//! What an account tells its program, unasked.

use grammers_tl_types as tl;

use crate::status::Red;

/// News of an account, in the order they came.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// The state of a call changed (`updatePhoneCall`). Each state of a call is told once.
    PhoneCall {
        /// The new state.
        call: tl::enums::PhoneCall,
        /// Who came along with it, if anybody.
        users: Vec<tl::enums::User>,
    },
    /// Signaling data of a call (`updatePhoneCallSignalingData`), unread.
    Signaling {
        /// Which call.
        call_id: i64,
        /// As the other side sent it.
        data: Vec<u8>,
    },
    /// Authorization is needed; nothing goes to Telegram or comes from it until a login.
    Revoked {
        /// Why.
        reason: Red,
    },
    /// Telegram answers.
    Connected,
    /// Telegram does not answer any more; the account connects anew by itself.
    Disconnected,
}

/// A piece of call news on its way to a [`Notice`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parcel {
    pub(crate) origin: Origin,
    pub(crate) news: CallNews,
}

/// Where call news came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Straight from the connection.
    Wire,
    /// From the ordered stream, which repeats what the wire brought and adds what was missed.
    Stream,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CallNews {
    Call { call: tl::enums::PhoneCall, users: Vec<tl::enums::User> },
    Signaling { call_id: i64, data: Vec<u8> },
}

impl Parcel {
    /// The call news among `updates`, in their order.
    pub(crate) fn among(
        updates: &[tl::enums::Update],
        users: &[tl::enums::User],
        origin: Origin,
    ) -> Vec<Self> {
        updates
            .iter()
            .filter_map(|update| match update {
                tl::enums::Update::PhoneCall(update) => {
                    Some(CallNews::Call { call: update.phone_call.clone(), users: users.to_vec() })
                }
                tl::enums::Update::PhoneCallSignalingData(update) => {
                    Some(CallNews::Signaling { call_id: update.phone_call_id, data: update.data.clone() })
                }
                _ => None,
            })
            .map(|news| Self { origin, news })
            .collect()
    }
}
