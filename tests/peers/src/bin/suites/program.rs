//! The test programs of the workspace, as cargo builds and names them.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// One test program.
#[derive(Debug)]
pub(crate) struct Program {
    /// The package's folder and the target: `tests/chat`.
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    /// Where cargo starts it.
    pub(crate) folder: PathBuf,
}

/// Builds what is not built yet.
pub(crate) fn build_all(root: &Path) -> anyhow::Result<Vec<Program>> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--locked", "--workspace", "--lib", "--bins", "--tests", "--no-run", "--quiet"]);
    cargo.arg("--message-format=json-render-diagnostics").current_dir(root);
    let mut cargo = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cargo")?;
    let output = cargo.stdout.take().context("cargo's output")?;
    let mut programs = Vec::new();
    for line in BufReader::new(output).lines() {
        let message: Value = serde_json::from_str(&line?).context("a message of cargo")?;
        programs.extend(of_message(root, &message)?);
    }
    ensure!(cargo.wait()?.success(), "the tests are not built");
    programs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(programs)
}

/// The program that a message of cargo tells of, if it is one with tests.
fn of_message(root: &Path, message: &Value) -> anyhow::Result<Option<Program>> {
    let (Some(file), Some(true)) = (message["executable"].as_str(), message["profile"]["test"].as_bool())
    else {
        return Ok(None);
    };
    let manifest = Path::new(message["manifest_path"].as_str().context("manifest_path")?);
    let folder = manifest.parent().context("the package's folder")?;
    let target = message["target"]["name"].as_str().context("the target's name")?;
    let package = folder.strip_prefix(root).context("a package elsewhere")?.display();
    let name = format!("{package}/{target}");
    Ok(Some(Program { name, file: file.into(), folder: folder.into() }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_program_is_named_by_its_folder_and_target() {
        let message = json!({
            "reason": "compiler-artifact",
            "manifest_path": "/home/somebody/tgtrunk/gateway/sip/Cargo.toml",
            "target": { "kind": ["test"], "name": "stories" },
            "profile": { "test": true },
            "executable": "/home/somebody/tgtrunk/target/debug/deps/stories-5e1f",
        });
        let program = of_message(Path::new("/home/somebody/tgtrunk"), &message).unwrap().unwrap();
        assert_eq!(program.name, "gateway/sip/stories");
        assert_eq!(program.folder, Path::new("/home/somebody/tgtrunk/gateway/sip"));
        let mut product = message.clone();
        product["profile"]["test"] = json!(false);
        assert!(of_message(Path::new("/home/somebody/tgtrunk"), &product).unwrap().is_none());
        assert!(of_message(Path::new("/elsewhere"), &message).is_err());
    }
}
