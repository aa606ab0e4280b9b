//! A program as its unit wants it: `sandboxed FOLDER` makes links of this one in the folder, each named like a program; started by
//! such a name it becomes that program, inside of what `systemd/NAME.service` asks for when it is started as the service.
//!
//! `make test SANDBOX=1` has tests start programs by such names, see `tgtrunk_test_telegram::surroundings`.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tgtrunk_tests::sandbox;

#[expect(clippy::print_stderr, reason = "whoever started it reads why it does not run")]
fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let name = words.next().map(PathBuf::from).unwrap_or_default();
    let words: Vec<OsString> = words.collect();
    let done =
        match name.file_name().and_then(|name| sandbox::PROGRAMS.into_iter().find(|known| name == *known)) {
            Some(program) => begin(program, &words).map(|never| match never {}),
            None => links(&words),
        };
    if let Err(error) = done {
        eprintln!("sandboxed: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn begin(program: &str, words: &[OsString]) -> anyhow::Result<Infallible> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the workspace")?;
    let unit = root.join("systemd").join(program).with_extension("service");
    // The link's own place is not where the programs are.
    let program = std::env::current_exe()?.with_file_name(program);
    sandbox::enter(&unit, &program, words)
}

fn links(words: &[OsString]) -> anyhow::Result<()> {
    let [folder] = words else { bail!("want a folder for links") };
    sandbox::make_links(&std::env::current_exe()?, Path::new(folder))
}
