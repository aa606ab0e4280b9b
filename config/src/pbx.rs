//! `pbx` of `line.toml`: one address of a PBX or several, the best first.

use std::fmt;
use std::str::FromStr as _;

use toml::de::DeValue;

use crate::keys;
use crate::line::PbxAddress;
use crate::trunk::Transport;

/// Most addresses that may be named.
const ADDRESSES_LIMIT: usize = 8;

pub(crate) const WANTED_PBX: &str = r#"an IP address or a host name, with a port if it is not 5060 (or 5061 with TLS), as "127.0.0.1:5060" or "[::1]:5060", or a list of up to 8 of these"#;

/// Where a PBX is: its addresses, the best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pbx {
    /// The best one.
    pub first: PbxAddress,
    /// Those that calls go to when it does not take them.
    pub others: Vec<PbxAddress>,
}

impl Pbx {
    /// Gives IP addresses without a port the one of the transport. Names may have theirs in SRV records.
    pub(crate) fn settle(&mut self, transport: Transport) {
        let without = |address: &&mut PbxAddress| address.port.is_none() && address.ip().is_some();
        for address in std::iter::once(&mut self.first).chain(&mut self.others).filter(without) {
            address.port = Some(transport.default_port());
        }
    }

    /// All addresses, the best first.
    pub fn addresses(&self) -> impl Iterator<Item = &PbxAddress> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl fmt::Display for Pbx {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(out)?;
        self.others.iter().try_for_each(|other| write!(out, ", {other}"))
    }
}

/// Reads one address or several: a list, or a text with commas.
pub(crate) fn read(value: &DeValue<'_>) -> Option<Pbx> {
    let texts: Vec<String> = match keys::text(value) {
        Some(text) => text.split(',').map(|one| one.trim().to_owned()).collect(),
        None => keys::list(value, |one| keys::text(one).map(str::to_owned))?,
    };
    let mut addresses = texts.iter().map(|text| PbxAddress::from_str(text).ok());
    let first = addresses.next()??;
    let others = addresses.collect::<Option<Vec<_>>>()?;
    (others.len() < ADDRESSES_LIMIT).then_some(Pbx { first, others })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::keys::Problem;
    use crate::line::Line;

    #[test]
    fn a_pbx_has_one_address_or_several() {
        for (text, written) in [
            (r#""10.0.0.1""#, "10.0.0.1:5060"),
            (
                r#"["10.0.0.1", "pbx.example.org", "[::1]:5070"]"#,
                "10.0.0.1:5060, pbx.example.org, [::1]:5070",
            ),
            (r#""10.0.0.1, 10.0.0.2:5070""#, "10.0.0.1:5060, 10.0.0.2:5070"),
        ] {
            assert_eq!(pbx(text).unwrap().to_string(), written);
        }
        let nine = format!("[{}]", ["\"pbx\""; 9].join(", "));
        for wrong in ["[]", r#""""#, r#"["10.0.0.1", ""]"#, r#"["10.0.0.1", 5]"#, r#""10.0.0.1,""#, &nine] {
            assert!(pbx(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_without_a_port_has_the_transports_own() {
        for (transport, written) in [
            ("udp", "10.0.0.1:5060, [::1]:5060, pbx.example.org, 10.0.0.2:5070"),
            ("tcp", "10.0.0.1:5060, [::1]:5060, pbx.example.org, 10.0.0.2:5070"),
            ("tls", "10.0.0.1:5061, [::1]:5061, pbx.example.org, 10.0.0.2:5070"),
        ] {
            let text = format!(
                "\"10.0.0.1, ::1, pbx.example.org, 10.0.0.2:5070\"\n[trunk]\ntransport = {transport:?}"
            );
            assert_eq!(pbx(&text).unwrap().to_string(), written);
        }
    }

    fn pbx(text: &str) -> Result<Pbx, Vec<Problem>> {
        let text = format!("phone = \"+79060000000\"\nsip_port = 30001\npbx = {text}\n");
        Line::parse(&text, Path::new("l.toml"), "+79060000000", &BTreeMap::new()).map(|line| line.pbx)
    }
}
