//! A call: what its path says, and what a method is given.

use super::arguments::Arguments;
use super::methods;
use super::multipart::decoded;
use super::upload::Upload;
use crate::house::House;
use crate::id::InstanceId;
use crate::instance::Instance;

/// What a path says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A method of an instance.
    Instance {
        /// Whose; none where it is no number of an instance.
        id: Option<InstanceId>,
        /// Which.
        method: String,
        /// What the client proves itself with.
        token: String,
        /// What stands behind.
        tail: Option<String>,
    },
    /// A method of the partner.
    Partner {
        /// Which.
        method: String,
        /// What the client proves itself with.
        token: String,
    },
    /// A file, by its secret.
    File {
        /// The secret.
        secret: String,
    },
    /// Nothing that is here.
    Nothing,
}

/// What a method of an instance is given.
pub(super) struct Call {
    /// All instances.
    pub(super) house: House,
    /// Whose it is.
    pub(super) instance: Instance,
    /// Said in query and body.
    pub(super) arguments: Arguments,
    /// Said behind the token.
    pub(super) tail: Option<String>,
    /// A file that came along.
    pub(super) upload: Option<Upload>,
}

/// What a method of the partner is given.
pub(super) struct PartnerCall {
    /// All instances.
    pub(super) house: House,
    /// Said in query and body.
    pub(super) arguments: Arguments,
}

/// What stands where a path had a token.
const MASK: &str = "***";
/// Longest number of a receipt: digits.
const NUMBER: usize = 19;

impl Target {
    /// Reads a path: `[/v3]/waInstance{id}/{method}/{token}[/{tail}]`, `/partner/{method}/{token}`,
    /// `/files/{secret}/{name}`. Empty segments are nothing, capitals are as good as small letters.
    pub(super) fn read(path: &str) -> Self {
        let mut segments = path.split('/').filter(|segment| !segment.is_empty()).peekable();
        segments.next_if(|segment| segment.eq_ignore_ascii_case("v3"));
        let mut next = || segments.next().map(decoded);
        let Some(first) = next() else { return Self::Nothing };
        let low = first.to_ascii_lowercase();
        if let Some(number) = low.strip_prefix("wainstance") {
            let id = number.parse().ok();
            let (Some(method), Some(token)) = (next(), next()) else { return Self::Nothing };
            return Self::Instance { id, method, token, tail: next() };
        }
        match (low.as_str(), next(), next()) {
            ("partner", Some(method), Some(token)) => Self::Partner { method, token },
            ("files", Some(secret), _) => Self::File { secret },
            _ => Self::Nothing,
        }
    }

    /// The path without what must not be seen: people put a token where a method or a receipt's number belongs.
    pub(super) fn masked(&self) -> String {
        let known = |word: &str, is_known: bool| if is_known { word.to_owned() } else { MASK.to_owned() };
        match self {
            Self::Instance { id, method, tail, .. } => {
                let id = id.map_or_else(|| MASK.to_owned(), |id| id.to_string());
                let method = known(method, methods::find(method).is_some());
                let is_number =
                    |tail: &str| tail.len() <= NUMBER && tail.bytes().all(|byte| byte.is_ascii_digit());
                let tail = tail.as_deref().map(|tail| format!("/{}", known(tail, is_number(tail))));
                format!("/waInstance{id}/{method}/{MASK}{}", tail.unwrap_or_default())
            }
            Self::Partner { method, .. } => {
                let is_known = methods::find_partner(method).is_some();
                format!("/partner/{}/{MASK}", known(method, is_known))
            }
            Self::File { .. } => format!("/files/{MASK}"),
            Self::Nothing => format!("/{MASK}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_an_instance_a_method_and_a_token() {
        let target = |method: &str, tail: Option<&str>| Target::Instance {
            id: InstanceId::new(4_100_000_001),
            method: method.to_owned(),
            token: "abc".to_owned(),
            tail: tail.map(str::to_owned),
        };
        for (path, expected) in [
            ("/waInstance4100000001/getSettings/abc", target("getSettings", None)),
            ("/v3/waInstance4100000001/getSettings/abc", target("getSettings", None)),
            ("//wainstance4100000001/GetSettings/abc/", target("GetSettings", None)),
            ("/waInstance4100000001/deleteNotification/abc/7", target("deleteNotification", Some("7"))),
            ("/waInstance4100000001/deleteNotification/abc/", target("deleteNotification", None)),
        ] {
            assert_eq!(Target::read(path), expected, "{path}");
        }
        let partner = Target::Partner { method: "getInstances".to_owned(), token: "gac.1".to_owned() };
        assert_eq!(Target::read("/partner/getInstances/gac.1"), partner);
        assert_eq!(Target::read("/files/5ec/a.txt"), Target::File { secret: "5ec".to_owned() });
        for path in ["/", "", "/v3", "/waInstance4100000001/getSettings", "/partner/getInstances", "/x/y/z"] {
            assert_eq!(Target::read(path), Target::Nothing, "{path}");
        }
    }

    #[test]
    fn a_masked_path_has_no_token() {
        for (path, masked) in [
            (
                "/waInstance4100000001/deleteNotification/abc/7",
                "/waInstance4100000001/deleteNotification/***/7",
            ),
            ("/waInstanceabc/getSettings/abc", "/waInstance***/getSettings/***"),
            ("/partner/getInstances/abc", "/partner/getInstances/***"),
            ("/files/abc/x.txt", "/files/***"),
            ("/abc", "/***"),
            // In the wrong place.
            ("/waInstance4100000001/abc/getSettings", "/waInstance4100000001/***/***"),
            ("/waInstance4100000001/abc/getSettings/7", "/waInstance4100000001/***/***/7"),
            (
                "/waInstance4100000001/deleteNotification/7/abc",
                "/waInstance4100000001/deleteNotification/***/***",
            ),
            ("/partner/abc/getInstances", "/partner/***/***"),
        ] {
            assert_eq!(Target::read(path).masked(), masked);
        }
    }
}
