//! A line's settings and the neighbours' words, put into the bridge's.

mod policy;

use tgtrunk_bridge::caller_id::{Field, Part, Template};
use tgtrunk_bridge::dial;
use tgtrunk_bridge::{CallerIdRule, Cause, DialError, DialRule, EarlyAnswer, ParallelIncoming, Settings};
use tgtrunk_config as config;
use tgtrunk_config::control::PbxSide;
use tgtrunk_media::{Codec, Tone, codec};
use tgtrunk_sip::{DemandedBy, Identity, Protocol, Reason, Srtp, Transport};
use tgtrunk_telegram::Person;

pub(crate) use policy::{asks_for_contacts, policy, rewrites};

/// Limits of a line's calls.
pub(crate) fn bridge_settings(line: &config::Line) -> Settings {
    Settings {
        parallel_incoming: match line.parallel_incoming {
            config::ParallelIncoming::Auto => ParallelIncoming::Auto,
            config::ParallelIncoming::Always => ParallelIncoming::Always,
            config::ParallelIncoming::Off => ParallelIncoming::Off,
        },
        early_answer: match line.early_answer {
            config::EarlyAnswer::Off => EarlyAnswer::Off,
            config::EarlyAnswer::EarlyMedia => EarlyAnswer::EarlyMedia,
            config::EarlyAnswer::Ringing => EarlyAnswer::Ringing,
        },
        ring_limit: line.ring_limit,
        ..Settings::default()
    }
}

/// What the trunk's room calls a transport.
pub(crate) fn transport(name: config::Transport) -> Transport {
    match name {
        config::Transport::Udp => Transport::Udp,
        config::Transport::Tcp => Transport::Tcp,
        config::Transport::Tls => Transport::Tls,
    }
}

/// What the trunk's room calls encryption of audio.
pub(crate) fn srtp(name: config::Srtp) -> Srtp {
    match name {
        config::Srtp::Off => Srtp::Off,
        config::Srtp::Offer => Srtp::Offer,
        config::Srtp::Require => Srtp::Require,
    }
}

/// What the trunk's room calls the hashes that a PBX is asked for.
pub(crate) fn demanded_by(name: config::AuthAlgorithm) -> DemandedBy {
    match name {
        config::AuthAlgorithm::Auto => DemandedBy::Either,
        config::AuthAlgorithm::Sha256 => DemandedBy::Sha256,
        config::AuthAlgorithm::Md5 => DemandedBy::Md5,
    }
}

/// The row of the codec table that a setting means.
pub(crate) fn codec(name: config::CodecName) -> &'static Codec {
    match name {
        config::CodecName::Opus => &codec::OPUS,
        config::CodecName::G722 => &codec::G722,
        config::CodecName::Pcma => &codec::PCMA,
        config::CodecName::Pcmu => &codec::PCMU,
        config::CodecName::L16 => &codec::L16,
    }
}

/// What a Telegram caller hears while the PBX rings.
pub(crate) fn ringback(country: config::Ringback) -> Option<Tone> {
    match country {
        config::Ringback::Ru => Some(Tone::RINGBACK),
        config::Ringback::Us => Some(Tone::RINGBACK_US),
        config::Ringback::Uk => Some(Tone::RINGBACK_UK),
        config::Ringback::Off => None,
    }
}

/// Whom the PBX means.
///
/// # Errors
/// When what was dialled means nobody.
pub(crate) fn dialled(dialled: &str, rule: &config::DialRule) -> Result<Person, DialError> {
    let national = (!rule.national_prefix.is_empty()).then(|| dial::National {
        prefix: rule.national_prefix.clone(),
        digits: rule.national_digits as usize,
        country_code: rule.country_code.clone(),
    });
    let rule = DialRule {
        min_phone_digits: rule.phone_from_digits as usize,
        bare_digits: match rule.few_digits {
            config::FewDigits::Id => dial::BareDigits::Id,
            config::FewDigits::Phone => dial::BareDigits::Phone,
        },
        national,
        international_prefixes: rule.international_prefixes.clone(),
    };
    dial::parse(dialled, &rule).map(|person| match person {
        dial::Person::Phone(number) => Person::Phone(number),
        dial::Person::Username(name) => Person::Username(name),
        dial::Person::Id(id) => Person::Id(id),
    })
}

/// What a line shows as caller id.
pub(crate) fn caller_id(shown: &config::CallerId) -> CallerIdRule {
    let field = |field: &config::CallerField| match field {
        config::CallerField::Phone => Field::Phone,
        config::CallerField::Digits => Field::Digits,
        config::CallerField::Username => Field::Username,
        config::CallerField::Id => Field::Id,
        config::CallerField::FirstName => Field::FirstName,
        config::CallerField::LastName => Field::LastName,
        config::CallerField::Name => Field::Name,
    };
    let part = |part: &config::CallerPart| match part {
        config::CallerPart::Text(text) => Part::Text(text.clone()),
        config::CallerPart::Field(known) => Part::Field(field(known)),
    };
    let templates = |templates: &[config::CallerTemplate]| {
        templates.iter().map(|parts| Template(parts.iter().map(part).collect())).collect()
    };
    CallerIdRule {
        numbers: templates(&shown.numbers),
        names: templates(&shown.names),
        ascii_names: shown.ascii_names,
    }
}

/// What the PBX's refusal means; its Q.850 cause is asked only where the status says little.
pub(crate) fn cause_of_refusal(status: u16, reason: Option<&Reason>) -> Cause {
    if reason.is_some_and(Reason::is_elsewhere) { Cause::AnsweredElsewhere } else { Cause::of_status(status) }
}

/// What a CANCEL of the PBX means: who says that somebody else took the call may say so in SIP's words alone.
pub(crate) fn cause_of_cancel(reason: Option<&Reason>) -> Cause {
    if reason.is_some_and(Reason::is_elsewhere) { Cause::AnsweredElsewhere } else { cause_of_reason(reason) }
}

/// Who is at the PBX's end; of a caller who wants to stay unknown nothing is kept.
pub(crate) fn pbx_side(identity: Identity) -> PbxSide {
    let Identity { caller, private, first_diverter, last_diverter } = identity;
    let word = |text: String| Some(text).filter(|text| !text.is_empty());
    let diverter = |party: Option<tgtrunk_sip::Party>| party.and_then(|party| word(party.user));
    PbxSide {
        number: word(caller.user).filter(|_| !private),
        name: word(caller.display).filter(|_| !private),
        private,
        first_diverter: diverter(first_diverter),
        last_diverter: diverter(last_diverter),
        transfers: Vec::new(),
    }
}

/// What a BYE of the PBX means.
pub(crate) fn cause_of_reason(reason: Option<&Reason>) -> Cause {
    Cause::of_reason(q850(reason))
}

fn q850(reason: Option<&Reason>) -> Option<u8> {
    reason
        .filter(|reason| reason.protocol == Protocol::Q850)
        .and_then(|reason| u8::try_from(reason.cause).ok())
}
