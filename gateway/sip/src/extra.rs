//! Headers that are written on somebody's behalf: none of them can pass for one of the line's own.

use crate::endpoint::Endpoint;
use crate::message::Headers;
use crate::text::{VALUE_LIMIT_BYTES, clean, is_token};

/// Most headers that are written on somebody's behalf.
const EXTRA_HEADERS_LIMIT: usize = 32;

/// Headers that a line writes itself.
const OWN_HEADERS: [&str; 34] = [
    "Accept",
    "Allow",
    "Authorization",
    "Call-ID",
    "Contact",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "CSeq",
    "From",
    "Max-Forwards",
    "Min-SE",
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Privacy",
    "Proxy-Authorization",
    "Proxy-Require",
    "RAck",
    "RSeq",
    "Reason",
    "Record-Route",
    "Refer-Sub",
    "Refer-To",
    "Referred-By",
    "Replaces",
    "Require",
    "Route",
    "Server",
    "Session-Expires",
    "Supported",
    "To",
    "Unsupported",
    "User-Agent",
    "Via",
];

impl Endpoint {
    /// Headers on somebody's behalf, made safe.
    pub(crate) fn push_extra(&self, headers: &mut Headers, extra: &[(String, String)]) {
        for (name, value) in extra.iter().take(EXTRA_HEADERS_LIMIT) {
            let value = clean(value, VALUE_LIMIT_BYTES);
            let ours = name.len() < 2 || OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name));
            if ours || !is_token(name) || name.len() > 64 {
                tracing::warn!(name = %clean(name, 64), "header left out: its name is not one to be given");
            } else if !value.is_empty() {
                headers.push(name, value);
            }
        }
    }
}
