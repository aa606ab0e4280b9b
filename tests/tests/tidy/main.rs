//! The rules of the house as a test: what may import what, what may stand in a file, what the lock file may hold.
//!
//! A rule reads the tree and gives complaints, each with the file and the way to mend it. Beside every rule stands a
//! text that breaks it, because a rule that cannot fail is no rule.

#![allow(clippy::unwrap_used, reason = "a tree that cannot be read is a failed test")]

mod capabilities;
mod code;
mod lock;
mod manifests;
mod peers;
mod sources;
mod torture;
mod tree;
mod words;

use tree::Tree;

#[test]
fn manifests_keep_the_rooms_apart() {
    assert_tidy(&manifests::complaints(&Tree::of_project()));
}

#[test]
fn the_lock_file_holds_one_of_each_stack() {
    assert_tidy(&lock::complaints(&Tree::of_project()));
}

#[test]
fn sources_keep_the_house_style() {
    assert_tidy(&sources::complaints(&Tree::of_project()));
}

#[test]
fn every_text_suits_any_machine_and_reader() {
    assert_tidy(&words::complaints(&Tree::of_project()));
}

#[test]
fn the_table_of_peers_names_tests_and_reasons() {
    assert_tidy(&peers::complaints(&Tree::of_project()));
}

#[test]
fn the_table_of_capabilities_is_whole_and_names_tests_and_sections() {
    let mut tree = Tree::of_project();
    if std::env::var_os("WRITE_TABLES").is_some() {
        let table = capabilities::made(&tree).unwrap();
        std::fs::write(Tree::root().join(capabilities::TABLE), &table).unwrap();
        tree.files.insert(capabilities::TABLE.to_owned(), table);
    }
    assert_tidy(&capabilities::complaints(&tree));
}

#[test]
fn the_table_of_torture_is_whole_and_names_commands_and_reasons() {
    let mut tree = Tree::of_project();
    if std::env::var_os("WRITE_TABLES").is_some() {
        let table = torture::made(&tree).unwrap();
        std::fs::write(Tree::root().join(torture::TABLE), &table).unwrap();
        tree.files.insert(torture::TABLE.to_owned(), table);
    }
    assert_tidy(&torture::complaints(&tree));
}

fn assert_tidy(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} to mend:\n{}", complaints.len(), complaints.join("\n"));
}
