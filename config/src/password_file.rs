//! A password in a file of its own, as systemd hands credentials to a service (systemd.exec(5), LoadCredential=).

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::said::Said;
use crate::secret::Password;
use crate::trunk::{TrunkSecret, fits_password};

/// More than any password takes.
const READ_BYTES: u64 = 1_024;

impl TrunkSecret {
    /// The password; out of its file, where it lies in one. One line break at its end is no part of it.
    ///
    /// # Errors
    /// With the key `key`, its value, and what is wanted instead.
    pub fn password(&self, key: &str) -> Result<Password, Said> {
        let path = match self {
            Self::Here(password) => return Ok(password.clone()),
            Self::File(path) => path,
        };
        read(path).map_err(|wrong| {
            let path = path.display();
            Said::new(
                format!(
                    "{key} = \"{path}\": {}: want a file with 1 to 128 characters in one line that others cannot read (chmod 600)",
                    wrong.en
                ),
                format!(
                    "{key} = \"{path}\": {}; нужно: файл с 1–128 знаками в одной строке, закрытый от других (chmod 600)",
                    wrong.ru
                ),
            )
        })
    }
}

fn read(path: &Path) -> Result<Password, Said> {
    let failed = |error: io::Error| Said::new(error.to_string(), error.to_string());
    // Whatever else can be opened may never end, or never begin.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(Said::new("this is no file", "это не файл"));
    }
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(Said::new(
            format!("everybody may read it (mode {mode:04o})"),
            format!("его может прочесть кто угодно (права {mode:04o})"),
        ));
    }
    let mut text = String::new();
    file.take(READ_BYTES).read_to_string(&mut text).map_err(failed)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if fits_password(line, 1) {
        return Ok(Password::new(line));
    }
    let length = line.chars().count();
    Err(Said::new(
        format!("what it holds is no password ({length} characters, not shown)"),
        format!("то, что в нём, не пароль (знаков: {length}, они не показаны)"),
    ))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn a_password_is_one_line_of_a_file_that_others_cannot_read() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("line1");
        let secret = TrunkSecret::File(path.clone());
        let written = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            secret.password("trunk.digest_password_file")
        };
        let absent = secret.password("trunk.digest_password_file").unwrap_err();
        assert!(absent.en.contains("No such file"), "{}", absent.en);
        for (text, mode) in [("open sesame\n", 0o600), ("open sesame", 0o400), ("open sesame\r\n", 0o440)] {
            assert_eq!(written(text, mode).unwrap().as_str(), "open sesame");
        }
        let open = written("open sesame", 0o644).unwrap_err();
        let shown = path.display();
        assert_eq!(
            open.en,
            format!(
                "trunk.digest_password_file = \"{shown}\": everybody may read it (mode 0644): want a file with 1 to 128 characters in one line that others cannot read (chmod 600)"
            )
        );
        assert_eq!(
            open.ru,
            format!(
                "trunk.digest_password_file = \"{shown}\": его может прочесть кто угодно (права 0644); нужно: файл с 1–128 знаками в одной строке, закрытый от других (chmod 600)"
            )
        );
        for text in ["", "\n", "open\nsesame\n", &"x".repeat(129), &"x".repeat(5_000)] {
            let wrong = written(text, 0o600).unwrap_err().en;
            assert!(wrong.contains("no password") && !wrong.contains("sesame"), "{wrong}");
        }
        let folder = TrunkSecret::File(room.path().to_owned()).password("k").unwrap_err();
        assert!(folder.en.contains("this is no file"), "{}", folder.en);
    }
}
