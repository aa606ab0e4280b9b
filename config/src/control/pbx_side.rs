//! Who was at the PBX's end of a call, as far as the PBX told.

use serde::{Deserialize, Serialize};

/// Transfers of one call that are told; later ones count, and are not told.
pub const TRANSFERS_TOLD: usize = 4;

/// The PBX's end of a call.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PbxSide {
    /// Who called from there: the number that the PBX asserts (RFC 3325), else that of From.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The name beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The caller wants to stay unknown (RFC 3323): number and name are left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
    /// Who was called at first, where the call was diverted (RFC 5806, RFC 7044).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_diverter: Option<String>,
    /// Who diverted it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_diverter: Option<String>,
    /// How the call was sent on at the PBX, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transfers: Vec<TransferInfo>,
}

/// One transfer of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferInfo {
    /// How.
    pub kind: TransferKind,
    /// To whom: what the PBX named, or who took the call.
    pub to: String,
    /// When it began, in milliseconds since 1970 (UTC).
    pub at_ms: u64,
    /// The SIP status that the new call ended its beginning with: 200 where it was answered. Left out until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// How a call is sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferKind {
    /// REFER to somebody who is called then.
    Blind,
    /// REFER to somebody who was asked before.
    Attended,
    /// Another call of the PBX took its place (RFC 3891).
    Replaced,
}

impl PbxSide {
    /// Whether the PBX told nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pbxs_end_is_the_json_that_version_1_promises() {
        let side = PbxSide {
            number: Some("203".into()),
            name: Some("Анна".into()),
            last_diverter: Some("101".into()),
            transfers: vec![TransferInfo {
                kind: TransferKind::Blind,
                to: "200".into(),
                at_ms: 5,
                status: Some(486),
            }],
            ..PbxSide::default()
        };
        let promised = serde_json::json!({
            "number": "203", "name": "Анна", "last_diverter": "101",
            "transfers": [{"kind": "blind", "to": "200", "at_ms": 5, "status": 486}],
        });
        assert_eq!(serde_json::to_value(&side).unwrap(), promised);
        assert_eq!(serde_json::from_value::<PbxSide>(promised).unwrap(), side);
        assert_eq!(serde_json::to_value(PbxSide::default()).unwrap(), serde_json::json!({}));
        assert!(PbxSide::default().is_empty() && !side.is_empty());
    }
}
