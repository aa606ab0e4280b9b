//! Figures for Prometheus, on a page of their own where the settings ask for one. No name or number of a person is in them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tgtrunk_bridge::{Cause, Leg, Record};
use tgtrunk_config::control::{LegQuality, Quality};
use tgtrunk_config::{GatewayStatus, Lamp};
use tgtrunk_sip::Strangers;

use crate::line::Direction;

const CALLS: &str = "tgtrunk_calls";
const ENDED: &str = "tgtrunk_calls_ended_total";
const CALLS_REFUSED: &str = "tgtrunk_calls_refused_total";
const TALKED: &str = "tgtrunk_call_talked_seconds_total";
const SETUP: &str = "tgtrunk_call_setup_seconds";
const UP: &str = "tgtrunk_line_up";
const PACKETS: &str = "tgtrunk_media_packets_total";
const LOST: &str = "tgtrunk_media_packets_lost_total";
const REFUSED: &str = "tgtrunk_media_datagrams_refused_total";
const STRAYS: &str = "tgtrunk_media_strays_total";
const UNSENT: &str = "tgtrunk_media_unsent_total";
const STRANGERS: &str = "tgtrunk_sip_strangers_total";
const UNPROVEN: &str = "tgtrunk_sip_unproven_total";
const WRONG_PROOFS: &str = "tgtrunk_sip_wrong_proofs_total";
const REORDERED: &str = "tgtrunk_media_packets_reordered_total";
const JITTER: &str = "tgtrunk_media_jitter_seconds";
const ROUND_TRIP: &str = "tgtrunk_media_round_trip_seconds";
const CONCEALED: &str = "tgtrunk_media_concealed_share";
const MOS: &str = "tgtrunk_media_mos";
const OVERLOADED: &str = "tgtrunk_overload_refusals_total";
const LATENESS: &str = "tgtrunk_lateness_seconds";
const TASKS: &str = "tgtrunk_tasks";

const SECONDS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];
const SETUP_SECONDS: [f64; 9] = [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0];
const SHARES: [f64; 7] = [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3];
const SCORES: [f64; 7] = [2.0, 2.5, 3.0, 3.5, 3.8, 4.0, 4.3];

/// Opens the page. Without it, figures cost next to nothing and go nowhere.
///
/// # Errors
/// When the address cannot be opened.
pub(crate) fn serve(address: SocketAddr) -> anyhow::Result<()> {
    let full = |name: &str| Matcher::Full(name.to_owned());
    let builder = PrometheusBuilder::new()
        .with_http_listener(address)
        .set_buckets_for_metric(full(SETUP), &SETUP_SECONDS)?
        .set_buckets_for_metric(full(JITTER), &SECONDS)?
        .set_buckets_for_metric(full(ROUND_TRIP), &SECONDS)?
        .set_buckets_for_metric(full(CONCEALED), &SHARES)?
        .set_buckets_for_metric(full(MOS), &SCORES)?;
    builder
        .install()
        .with_context(|| format!("gateway.metrics = \"{address}\": the page of figures cannot be opened"))?;
    describe();
    lateness(Duration::ZERO);
    tracing::info!(%address, "figures for Prometheus");
    Ok(())
}

/// A line's lamps and calls. It is named by its SIP port.
pub(crate) fn line(sip_port: u16, status: &GatewayStatus) {
    let port = sip_port.to_string();
    let is_green = |lamp| if lamp == Lamp::Green { 1.0 } else { 0.0 };
    gauge!(UP, "line" => port.clone(), "side" => "telegram").set(is_green(status.telegram.lamp));
    gauge!(UP, "line" => port.clone(), "side" => "pbx").set(is_green(status.sip.lamp));
    gauge!(CALLS, "line" => port).set(f64::from(status.calls));
}

/// What a line has counted at its SIP port since it was opened. It begins anew with the line, the figures do not.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    /// What came from others than the PBX.
    pub(crate) strangers: Strangers,
    /// Requests that were refused because there was too much to do.
    pub(crate) refused: u64,
}

/// Adds what a line has counted beyond what was `known`.
pub(crate) fn counted(sip_port: u16, known: Counted, now: Counted) {
    let port = sip_port.to_string();
    let more = |name, known: u64, now: u64| {
        counter!(name, "line" => port.clone()).increment(now.saturating_sub(known));
    };
    more(STRANGERS, known.strangers.dropped, now.strangers.dropped);
    more(UNPROVEN, known.strangers.unproven, now.strangers.unproven);
    more(WRONG_PROOFS, known.strangers.wrong_proofs, now.strangers.wrong_proofs);
    more(OVERLOADED, known.refused, now.refused);
}

/// Datagrams at sockets that calls share, which were for none of them, or more than one call is given at a time.
pub(crate) fn strays(count: u64) {
    counter!(STRAYS).increment(count);
}

/// Datagrams that the system did not take from sockets that calls share.
pub(crate) fn unsent(count: u64) {
    counter!(UNSENT).increment(count);
}

/// A line that works no more.
pub(crate) fn line_gone(sip_port: u16) {
    let port = sip_port.to_string();
    gauge!(UP, "line" => port.clone(), "side" => "telegram").set(0.0);
    gauge!(UP, "line" => port.clone(), "side" => "pbx").set(0.0);
    gauge!(CALLS, "line" => port).set(0.0);
}

/// A call that is over.
pub(crate) fn call(sip_port: u16, record: &Record, quality: &Quality) {
    let port = sip_port.to_string();
    let direction = match record.caller {
        Leg::Trunk => "pbx-to-telegram",
        Leg::Telegram => "telegram-to-pbx",
    };
    let answered = if record.answered_after.is_some() { "yes" } else { "no" };
    let cause = record.cause.row().q850.to_string();
    let labels = [
        ("line", port.clone()),
        ("direction", direction.to_owned()),
        ("answered", answered.to_owned()),
        ("q850", cause),
    ];
    counter!(ENDED, &labels).increment(1);
    counter!(TALKED, "line" => port.clone(), "direction" => direction).increment(record.talked.as_secs());
    // From the call's first word until sound could flow, without the time that people took to answer.
    if let Some(answered_after) = record.answered_after
        && !record.talked.is_zero()
    {
        let connected_after = record.lasted.saturating_sub(record.talked);
        histogram!(SETUP, "direction" => direction)
            .record(connected_after.saturating_sub(answered_after).as_secs_f64());
    }
    leg(&port, "telegram", &quality.telegram);
    leg(&port, "pbx", &quality.pbx);
}

/// A call that came to nothing before the gateway called anybody.
pub(crate) fn refused(sip_port: u16, direction: Direction, cause: Cause) {
    let direction = match direction {
        Direction::ToTelegram => "pbx-to-telegram",
        Direction::FromTelegram => "telegram-to-pbx",
    };
    let labels = [
        ("line", sip_port.to_string()),
        ("direction", direction.to_owned()),
        ("q850", cause.row().q850.to_string()),
    ];
    counter!(CALLS_REFUSED, &labels).increment(1);
}

fn leg(port: &str, side: &'static str, quality: &LegQuality) {
    let labels = |way: &'static str| {
        [
            ("line", port.to_owned()),
            ("side", side.to_owned()),
            ("way", way.to_owned()),
            ("codec", quality.codec.clone()),
            ("path", quality.path.map_or("rtp", |path| path.as_str()).to_owned()),
        ]
    };
    counter!(PACKETS, &labels("in")).increment(quality.packets_in);
    counter!(PACKETS, &labels("out")).increment(quality.packets_out);
    counter!(LOST, &labels("in")).increment(quality.lost);
    counter!(REORDERED, &labels("in")).increment(quality.reordered);
    counter!(REFUSED, "line" => port.to_owned(), "side" => side).increment(quality.refused);
    if quality.packets_in == 0 {
        return;
    }
    histogram!(JITTER, "side" => side).record(f64::from(quality.jitter_ms) / 1000.0);
    histogram!(CONCEALED, "side" => side).record(f64::from(quality.concealed_permille) / 1000.0);
    if let Some(round_trip_ms) = quality.round_trip_ms {
        histogram!(ROUND_TRIP, "side" => side).record(f64::from(round_trip_ms) / 1000.0);
    }
    if let Some(hundredths) = quality.mos_hundredths {
        histogram!(MOS, "side" => side).record(f64::from(hundredths) / 100.0);
    }
}

/// How many calls were refused for this reason because there was too much to do for all lines together.
pub(crate) fn overload(why: &'static str, of_gateway: u64) {
    counter!(OVERLOADED, "line" => "all", "why" => why).absolute(of_gateway);
}

/// How late the gateway comes to its work.
pub(crate) fn lateness(late: Duration) {
    gauge!(LATENESS).set(late.as_secs_f64());
}

/// Tasks that go on, of calls and of everything else.
pub(crate) fn tasks(count: usize) {
    gauge!(TASKS).set(count as f64);
}

fn describe() {
    describe_gauge!(TASKS, "Tasks of the program that go on");
    describe_counter!(OVERLOADED, "Requests refused with 503 because there was too much to do");
    describe_gauge!(
        LATENESS,
        Unit::Seconds,
        "How late the gateway's threads come to their work, the latest of them, in the middle of half a second"
    );
    describe_gauge!(UP, "1 while the side of a line is connected");
    describe_gauge!(CALLS, "Calls that are up, ringing ones included");
    describe_counter!(ENDED, "Calls that ended, by direction, answer and Q.850 cause");
    describe_counter!(
        CALLS_REFUSED,
        "Calls that came to nothing before anybody was called, by direction and Q.850 cause"
    );
    describe_counter!(TALKED, Unit::Seconds, "How long sound could flow, all calls together");
    describe_histogram!(SETUP, Unit::Seconds, "From the answer until sound could flow");
    describe_counter!(PACKETS, "RTP packets of ended calls, in from a side and out to it");
    describe_counter!(LOST, "RTP packets of a side that never came");
    describe_counter!(REFUSED, "Datagrams at a call's ports that were not its own, of ended calls");
    describe_counter!(
        STRAYS,
        "Datagrams at sockets that calls share, which were for none of them, or more than one call is given at a time"
    );
    describe_counter!(UNSENT, "Datagrams that the system did not take from sockets that calls share");
    describe_counter!(STRANGERS, "SIP datagrams of addresses that are not the line's PBX");
    describe_counter!(
        UNPROVEN,
        "SIP messages that any_source let in, of addresses that had not proven to be the PBX"
    );
    describe_counter!(WRONG_PROOFS, "SIP requests with a wrong user or password");
    describe_counter!(REORDERED, "RTP packets of a side that came after a later one");
    describe_histogram!(
        JITTER,
        Unit::Seconds,
        "Interarrival jitter at a call's end (RFC 3550 section 6.4.1)"
    );
    describe_histogram!(ROUND_TRIP, Unit::Seconds, "There and back to a side");
    describe_histogram!(CONCEALED, "Share of decoded sound that had to be made up");
    describe_histogram!(MOS, "Estimated mean opinion score of what came from a side (ITU-T G.107)");
}
