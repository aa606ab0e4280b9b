//! `phoneCallProtocol`: what the server takes from one side, and what it makes of both.

use grammers_tl_types::types::PhoneCallProtocol;

use super::error::RpcError;
use super::settings::Versions;

/// The layers that today's applications say; others are refused.
const LAYERS: std::ops::RangeInclusive<i32> = 65..=92;

/// Refuses what Telegram refuses.
pub(crate) fn check(protocol: &PhoneCallProtocol) -> Result<(), RpcError> {
    if !protocol.udp_p2p && !protocol.udp_reflector {
        return Err(RpcError::bad_request("CALL_PROTOCOL_FLAGS_INVALID"));
    }
    if !LAYERS.contains(&protocol.min_layer) || protocol.max_layer != *LAYERS.end() {
        return Err(RpcError::bad_request("CALL_PROTOCOL_LAYER_INVALID"));
    }
    Ok(())
}

/// What both sides have in common; versions best first.
pub(crate) fn merge(
    caller: &PhoneCallProtocol,
    callee: &PhoneCallProtocol,
    versions: Versions,
) -> Result<PhoneCallProtocol, RpcError> {
    let mut common: Vec<String> = Vec::new();
    for version in &caller.library_versions {
        if callee.library_versions.contains(version) && !common.contains(version) {
            common.push(version.clone());
        }
    }
    common.sort_by_key(|version| std::cmp::Reverse(numbers(version)));
    if versions == Versions::Best {
        common.truncate(1);
    }
    if common.is_empty() {
        return Err(RpcError::new(406, "CALL_PROTOCOL_COMPAT_LAYER_INVALID"));
    }
    Ok(PhoneCallProtocol {
        udp_p2p: caller.udp_p2p && callee.udp_p2p,
        udp_reflector: caller.udp_reflector && callee.udp_reflector,
        min_layer: caller.min_layer.max(callee.min_layer),
        max_layer: caller.max_layer.min(callee.max_layer),
        library_versions: common,
    })
}

fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_common_version_is_the_highest_by_number_not_by_text() {
        let caller = protocol(&["8.0.0", "9.0.0", "12.0.0"]);
        let callee = protocol(&["13.0.0", "12.0.0", "9.0.0"]);
        assert_eq!(merge(&caller, &callee, Versions::Best).unwrap().library_versions, ["12.0.0"]);
        assert_eq!(merge(&caller, &callee, Versions::All).unwrap().library_versions, ["12.0.0", "9.0.0"]);
    }

    #[test]
    fn nothing_in_common_is_refused() {
        let refused = merge(&protocol(&["8.0.0"]), &protocol(&["4.0.1"]), Versions::All);
        assert_eq!(refused, Err(RpcError::new(406, "CALL_PROTOCOL_COMPAT_LAYER_INVALID")));
    }

    #[test]
    fn odd_layers_and_missing_flags_are_refused() {
        assert_eq!(check(&protocol(&["9.0.0"])), Ok(()));
        let layered = PhoneCallProtocol { max_layer: 42, ..protocol(&["9.0.0"]) };
        assert_eq!(check(&layered), Err(RpcError::bad_request("CALL_PROTOCOL_LAYER_INVALID")));
        let flagless = PhoneCallProtocol { udp_p2p: false, udp_reflector: false, ..protocol(&["9.0.0"]) };
        assert_eq!(check(&flagless), Err(RpcError::bad_request("CALL_PROTOCOL_FLAGS_INVALID")));
    }

    fn protocol(versions: &[&str]) -> PhoneCallProtocol {
        let library_versions = versions.iter().map(|version| (*version).to_owned()).collect();
        PhoneCallProtocol {
            udp_p2p: true,
            udp_reflector: true,
            min_layer: 65,
            max_layer: 92,
            library_versions,
        }
    }
}
