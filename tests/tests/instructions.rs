//! What a packet costs on its way through the gateway, beside the barest relay: counted, so that it is the same wherever it runs.

use std::env;

use tgtrunk_tests::gateway;
use tgtrunk_tests::load::instructions;

/// What is built piece by piece is inlined otherwise.
const PIECES: &str = "CARGO_INCREMENTAL";

#[test]
fn a_packet_takes_as_many_instructions_as_the_tree_says() -> anyhow::Result<()> {
    let program = gateway::program()?.with_file_name("instructions");
    let counted = instructions::count(&program, false)?;
    println!("{counted}");
    if env::var(PIECES).is_ok_and(|value| value == "0") {
        assert!(counted.is_expected(), "{}", counted.told(instructions::file(false)));
    } else {
        println!("NOT JUDGED: only what is built with {PIECES}=0 is built as the tree's ratio was");
        assert!((1.0..4.0).contains(&counted.ratio), "{counted}");
    }
    Ok(())
}
