//! The short form of `make torture` and `make soak`: each row against a gateway of its own, judged as the whole one is.

#![allow(clippy::unwrap_used)]

use tgtrunk_tests::figures::show;
use tgtrunk_tests::torture::{self, Plan};

/// The dice of every run here: what fails once fails again.
const SEED: u64 = 1;

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_both_torture_documents_get_their_answers_over_udp_and_tcp() {
    holds("T1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invites_with_an_anomaly_neither_crash_nor_hang_a_line() {
    holds("T2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mutated_messages_are_answered_where_they_can_be_and_never_louder_than_they_came() {
    holds("T3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_media_is_dropped_and_heard_by_nobody() {
    holds("T5").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_at_open_ports_hear_nothing_and_are_not_heard() {
    holds("T6").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_who_know_the_numbers_of_a_call_are_not_heard() {
    holds("T7").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_of_strangers_keep_no_call_from_coming_about() {
    holds("T8").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bad_path_takes_is_lost_and_nothing_more() {
    holds("T9").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_on_a_path_that_loses_get_one_final_answer_each_and_leave_nothing() {
    holds("T11").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_or_repeats_a_proof_does_not_get_in() {
    holds("T13").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_calls_at_somebody_elses_expense() {
    holds("T14").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_walked_at_random_always_ends_for_both_legs() {
    holds("T26").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_sound_stops_for_too_long_ends_both_legs_on_time_and_nobody_else_does() {
    holds("T10").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telegram_that_goes_away_amid_calls_takes_no_sound_away_and_is_called_again_at_once() {
    holds("T15").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_or_read_only_stops_no_call_and_is_told_of_until_it_takes_again() {
    holds("T19").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_steps_and_drifts_drops_no_call_and_keeps_nobody_from_calling() {
    holds("T20").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_troubles_of_all_kinds_each_call_comes_about() {
    holds("T28").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pbx_that_starts_anew_or_moves_releases_people_and_hears_of_the_line_at_once() {
    holds("T16").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_descriptors_run_out_new_calls_are_refused_and_running_ones_go_on() {
    holds("T21").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_started_anew_lets_calls_end_and_takes_others_at_once() {
    holds("T27").await;
}

async fn holds(test: &str) {
    let row = torture::row(test).unwrap();
    let done = torture::run(row, Plan { amount: row.short, seed: SEED }, None).await;
    let table = torture::table(std::slice::from_ref(&done));
    show(&table);
    assert_eq!(done.failed, 0, "{table}");
}
