//! `phoneCall.custom_parameters`: a JSON object from the server, the same for both sides.

use std::time::Duration;

use serde_json::Value;

/// Time before SCTP repeats an INIT or COOKIE-ECHO first; the stock 3 s would burn the peer's
/// patience of 10 to 20 s.
const SCTP_T1: Duration = Duration::from_millis(400);

/// Longest time between two repetitions.
const SCTP_MAX_BACKOFF: Duration = Duration::from_millis(750);

/// The custom parameters that matter to an audio call; unknown keys are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomParameters {
    /// Versions 12.0.0 and 13.0.0 send their packets without SCTP.
    pub signaling_without_sctp: bool,
    /// Media is wanted over the transport envelope instead of DTLS-SRTP. Not spoken here: the
    /// shell logs it, and the peer will not answer DTLS.
    pub media_over_mtproto: bool,
    /// Both sides use fixed reflector tags and send no reflector candidates.
    pub standalone_reflectors: bool,
    /// First repetition of an SCTP INIT.
    pub sctp_t1_init: Duration,
    /// First repetition of an SCTP COOKIE-ECHO.
    pub sctp_t1_cookie: Duration,
    /// Longest time between two SCTP repetitions.
    pub sctp_max_backoff: Duration,
}

impl Default for CustomParameters {
    fn default() -> Self {
        Self {
            signaling_without_sctp: false,
            media_over_mtproto: false,
            standalone_reflectors: false,
            sctp_t1_init: SCTP_T1,
            sctp_t1_cookie: SCTP_T1,
            sctp_max_backoff: SCTP_MAX_BACKOFF,
        }
    }
}

impl CustomParameters {
    /// Reads the JSON text. What is absent, of another type, or out of reason keeps its default:
    /// the call can do without any of it.
    #[must_use]
    pub fn parse(json: &str) -> Self {
        let object = serde_json::from_str(json).unwrap_or(Value::Null);
        let flag = |key: &str| object.get(key).and_then(Value::as_bool).unwrap_or(false);
        let time = |key: &str, default: Duration| {
            object
                .get(key)
                .and_then(Value::as_u64)
                .filter(|ms| (50..=60_000).contains(ms))
                .map_or(default, Duration::from_millis)
        };
        Self {
            signaling_without_sctp: flag("network_signaling_nosctp"),
            media_over_mtproto: flag("network_use_mtproto"),
            standalone_reflectors: flag("network_standalone_reflectors"),
            sctp_t1_init: time("network_sctp_t1_init_ms", SCTP_T1),
            sctp_t1_cookie: time("network_sctp_t1_cookie_ms", SCTP_T1),
            sctp_max_backoff: time("network_sctp_max_backoff_ms", SCTP_MAX_BACKOFF),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_keys_are_read_and_unknown_ones_ignored() {
        let read = CustomParameters::parse(
            r#"{"network_signaling_nosctp":true,"network_use_mtproto":true,
                "network_standalone_reflectors":true,"network_sctp_t1_init_ms":300,
                "network_sctp_t1_cookie_ms":500,"network_sctp_max_backoff_ms":2000,
                "network_kcp_experiment":true,"later":{"a":[1]}}"#,
        );
        let expected = CustomParameters {
            signaling_without_sctp: true,
            media_over_mtproto: true,
            standalone_reflectors: true,
            sctp_t1_init: Duration::from_millis(300),
            sctp_t1_cookie: Duration::from_millis(500),
            sctp_max_backoff: Duration::from_secs(2),
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn what_makes_no_sense_keeps_its_default() {
        for text in [
            "",
            "null",
            "[]",
            "{",
            r#"{"network_signaling_nosctp":"yes","network_sctp_t1_init_ms":-1}"#,
            r#"{"network_sctp_t1_init_ms":0,"network_sctp_max_backoff_ms":1e12}"#,
        ] {
            assert_eq!(CustomParameters::parse(text), CustomParameters::default());
        }
    }
}
