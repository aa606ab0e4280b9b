//! The terminal: what people type there, and what they are told.

use std::io::{self, IsTerminal as _, stdin};
use std::process::ExitCode;

use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

use crate::said::said;
use crate::waiting::language;

/// The next line of standard input with its end, `None` when there is no more. At a terminal, what is `secret` is not
/// shown while it is typed.
///
/// # Errors
/// When the input fails.
pub fn line(secret: bool) -> io::Result<Option<String>> {
    let input = stdin();
    let shown = if secret && input.is_terminal() { Some(tcgetattr(&input)?) } else { None };
    if let Some(shown) = &shown {
        let mut hidden = shown.clone();
        hidden.local_flags.remove(LocalFlags::ECHO);
        hidden.local_flags.insert(LocalFlags::ECHONL);
        tcsetattr(&input, SetArg::TCSAFLUSH, &hidden)?;
    }
    let mut line = String::new();
    let read = input.read_line(&mut line);
    if let Some(shown) = &shown {
        tcsetattr(&input, SetArg::TCSAFLUSH, shown)?;
    }
    Ok((read? > 0).then_some(line))
}

/// Answers at the terminal.
#[expect(clippy::print_stdout, reason = "the terminal is where the operator looks")]
pub fn say(sentence: &str) {
    println!("{sentence}");
}

/// Tells the operator something beside the log, which may leave it out or be read by others.
#[expect(clippy::print_stderr, reason = "the terminal is where the operator looks")]
pub fn note(sentence: &str) {
    eprintln!("{sentence}");
}

/// Tells the operator what went wrong in `program`.
#[expect(clippy::print_stderr, reason = "the terminal is where the operator looks")]
pub fn complain(program: &str, error: &anyhow::Error) -> ExitCode {
    eprintln!("{program}: {}", said(error).in_language(language()));
    ExitCode::FAILURE
}
