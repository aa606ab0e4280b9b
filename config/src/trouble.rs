//! What keeps a program from its work and an operator can mend, each as one plain sentence with its remedy.
//!
//! Page, terminal and log say the same sentence, because it is made here and nowhere else.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::keys::{Fault, Problem};
use crate::said::Said;
use crate::settings::SettingsError;

/// Something that an operator can mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody has entered `api_id` and `api_hash` yet.
    NoApplication {
        /// The settings file.
        file: PathBuf,
    },
    /// The settings file cannot be taken as it is.
    Settings(Said),
    /// The settings file is right, and another one than the program has taken.
    SettingsChanged {
        /// The settings file.
        file: PathBuf,
    },
    /// No room is left where something has to be written.
    DiskFull {
        /// What could not be written.
        path: PathBuf,
    },
    /// The disk has room, and takes no further file.
    NoFilesLeft {
        /// Where none can be made.
        path: PathBuf,
    },
    /// So little room is left that calls are not recorded.
    NoRoomToRecord {
        /// Where recordings go.
        path: PathBuf,
    },
    /// A file or folder is not the program's to use.
    NotAllowed {
        /// Which.
        path: PathBuf,
    },
    /// A file system lets nobody write.
    ReadOnly {
        /// What could not be written.
        path: PathBuf,
    },
    /// Somebody else has a port.
    PortInUse {
        /// Which.
        address: SocketAddr,
        /// The setting that names it, as `sip_port in line.toml`.
        setting: &'static str,
    },
    /// A port may not be opened by this user.
    PortNotAllowed {
        /// Which.
        address: SocketAddr,
        /// The setting that names it.
        setting: &'static str,
    },
    /// The machine's address that something should be opened on is none of its own.
    NotOurAddress {
        /// Which.
        address: SocketAddr,
        /// The setting that names it.
        setting: &'static str,
    },
    /// The PBX does not take a line's user or password.
    PbxDoubtsPassword {
        /// The user.
        user: String,
    },
    /// The PBX wants a user and a password, and the line has none.
    PbxWantsPassword,
    /// The PBX refuses a line's registration.
    NotRegistered {
        /// As whom the line registers.
        user: String,
        /// The status of SIP.
        status: u16,
        /// The words beside it.
        phrase: String,
    },
    /// The PBX calls with another user or password than the line wants.
    PbxGuesses,
    /// New calls are refused because there is too much to do for all lines together.
    Overloaded(Overload),
    /// This machine's clock is wrong: calls and logins fail then.
    ClockWrong {
        /// How much it is ahead of Telegram's, in seconds; negative when it is behind.
        ahead_s: i64,
    },
}

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// So many calls are up, as many as may be.
    Calls(u32),
    /// More than so many new ones came in a second.
    Rate(u32),
    /// Work: the machine does not keep up.
    Lag,
    /// Open files: the system gives hardly any more.
    Files,
}

impl Trouble {
    /// How far a clock may be off before somebody is told, in seconds. MTProto takes messages from 300 s before to
    /// 30 s after the server's time.
    pub const CLOCK_TOLERANCE_S: i64 = 30;

    /// What is wrong with the settings.
    pub fn of_settings(error: &SettingsError) -> Self {
        if let Some(fresh) = Self::of_fresh_settings(error) {
            return fresh;
        }
        match error {
            SettingsError::Unreadable { file, source }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Self::NotAllowed { path: file.clone() }
            }
            SettingsError::Unreadable { .. } | SettingsError::Wrong(_) => Self::Settings(error.into()),
        }
    }

    /// The settings, if they are well but for the two values that nobody can know for their owner.
    pub(crate) fn of_fresh_settings(error: &SettingsError) -> Option<Self> {
        let SettingsError::Wrong(problems) = error else { return None };
        let lacks = |problem: &Problem| {
            let missing = matches!(problem.fault, Fault::Missing { .. });
            missing && ["telegram.api_id", "telegram.api_hash"].contains(&problem.key.as_str())
        };
        let file = &problems.first()?.file;
        problems.iter().all(lacks).then(|| Self::NoApplication { file: file.clone() })
    }

    /// What an error with the file or folder at `path` means, if an operator can mend it.
    pub fn of_file(error: &io::Error, path: &Path) -> Option<Self> {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Self::DiskFull { path }),
            io::ErrorKind::PermissionDenied => Some(Self::NotAllowed { path }),
            io::ErrorKind::ReadOnlyFilesystem => Some(Self::ReadOnly { path }),
            _ => None,
        }
    }

    /// What an error with opening a port means, if an operator can mend it. `setting` is where the port is named.
    pub fn of_port(error: &io::Error, address: SocketAddr, setting: &'static str) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::AddrInUse => Some(Self::PortInUse { address, setting }),
            io::ErrorKind::PermissionDenied => Some(Self::PortNotAllowed { address, setting }),
            io::ErrorKind::AddrNotAvailable => Some(Self::NotOurAddress { address, setting }),
            _ => None,
        }
    }

    /// Whether a sentence that another program tells is that of a wrong clock.
    pub fn is_clock(said: &Said) -> bool {
        said.en.starts_with("this machine's clock is ")
    }

    /// The clock, if it is too far off.
    pub fn of_clock(ahead_s: i64) -> Option<Self> {
        (ahead_s.saturating_abs() > Self::CLOCK_TOLERANCE_S).then_some(Self::ClockWrong { ahead_s })
    }
}

/// The sentence.
impl From<&Trouble> for Said {
    fn from(trouble: &Trouble) -> Self {
        match trouble {
            Trouble::NoApplication { file } => Self::new(
                format!(
                    "api_id and api_hash are missing: enter them on the page, System, or in {}; they are had at https://my.telegram.org",
                    file.display()
                ),
                format!(
                    "нет api_id и api_hash: введите их на странице, раздел «Система», или в {}; их выдаёт https://my.telegram.org",
                    file.display()
                ),
            ),
            Trouble::Settings(said) => said.clone(),
            Trouble::SettingsChanged { file } => Self::new(
                format!(
                    "{} has changed: it is taken up when the last call has ended, or by systemctl restart tgtrunk.target",
                    file.display()
                ),
                format!(
                    "{} изменён: он вступит в силу, когда закончится последний звонок, или по команде systemctl restart tgtrunk.target",
                    file.display()
                ),
            ),
            Trouble::DiskFull { path } => Self::new(
                format!("{}: the disk is full: make room on it, then it goes on by itself", path.display()),
                format!("{}: диск заполнен: освободите на нём место, дальше всё пойдёт само", path.display()),
            ),
            Trouble::NoFilesLeft { path } => Self::new(
                format!(
                    "{}: the disk takes no more files, though it has room (df -i tells): remove some, then it goes on by itself",
                    path.display()
                ),
                format!(
                    "{}: на диске больше нельзя создать файл, хотя место есть (см. df -i): удалите лишние, дальше всё пойдёт само",
                    path.display()
                ),
            ),
            Trouble::NoRoomToRecord { path } => Self::new(
                format!(
                    "{}: less than 256 MiB are free, so calls are not recorded: make room, or set keep_days of [recording] in line.toml lower",
                    path.display()
                ),
                format!(
                    "{}: свободно меньше 256 МиБ, поэтому разговоры не записываются: освободите место или уменьшите keep_days в [recording] файла line.toml",
                    path.display()
                ),
            ),
            Trouble::NotAllowed { path } => Self::new(
                format!(
                    "{0}: no permission: it must belong to the user who runs the program (as root: chown -R tgtrunk: {0})",
                    path.display()
                ),
                format!(
                    "{0}: нет прав: владельцем должен быть пользователь, под которым работает программа (от root: chown -R tgtrunk: {0})",
                    path.display()
                ),
            ),
            Trouble::ReadOnly { path } => Self::new(
                format!(
                    "{}: the file system is read-only: mount it for writing, or choose another state directory",
                    path.display()
                ),
                format!(
                    "{}: файловая система только для чтения: подключите её для записи или выберите другую папку состояния",
                    path.display()
                ),
            ),
            Trouble::PortInUse { address, setting } => Self::new(
                format!(
                    "port {address} is in use by another program: stop it, or change {setting} (ss -lntup shows who has it)"
                ),
                format!(
                    "порт {address} занят другой программой: остановите её или измените {} (кто занял, покажет ss -lntup)",
                    in_russian(setting)
                ),
            ),
            Trouble::PortNotAllowed { address, setting } => Self::new(
                format!("port {address} may not be opened: choose one above 1023 in {setting}"),
                format!("порт {address} открыть нельзя: нужен порт больше 1023, см. {}", in_russian(setting)),
            ),
            Trouble::NotOurAddress { address, setting } => Self::new(
                format!(
                    "{} is not an address of this machine: change {setting} (ip address shows those it has)",
                    address.ip()
                ),
                format!(
                    "{} не адрес этой машины: измените {} (её адреса покажет ip address)",
                    address.ip(),
                    in_russian(setting)
                ),
            ),
            Trouble::PbxDoubtsPassword { user } => Self::new(
                format!(
                    "the PBX does not know user {user}, or the password is wrong: see digest_user and digest_password in the line's settings"
                ),
                format!(
                    "АТС не знает имени {user}, или пароль неверен: проверьте digest_user и digest_password в настройках линии"
                ),
            ),
            Trouble::PbxWantsPassword => Self::new(
                "the PBX wants a user and a password: enter digest_user and digest_password in the line's settings",
                "АТС требует имя и пароль: укажите digest_user и digest_password в настройках линии",
            ),
            Trouble::NotRegistered { user, status, phrase } => Self::new(
                format!(
                    "the PBX does not register the line as {user} ({status} {phrase}): is there such a user, and may it register?"
                ),
                format!(
                    "АТС не регистрирует линию под именем {user} ({status} {phrase}): есть ли там такое имя и разрешена ли ему регистрация?"
                ),
            ),
            Trouble::PbxGuesses => Self::new(
                "the PBX calls with a wrong user or password: it has to use auth_user and auth_password of the line's settings",
                "АТС звонит с неверным именем или паролем: у неё должны быть auth_user и auth_password из настроек линии",
            ),
            Trouble::Overloaded(what) => overloaded(*what),
            Trouble::ClockWrong { ahead_s } => clock(*ahead_s),
        }
    }
}

impl From<Trouble> for Said {
    fn from(trouble: Trouble) -> Self {
        Self::from(&trouble)
    }
}

/// Where a setting is, for a Russian sentence.
fn in_russian(setting: &str) -> String {
    setting.replace(" in ", " в ").replace(" of ", " из ")
}

fn clock(ahead_s: i64) -> Said {
    let (en, ru) = if ahead_s > 0 { ("ahead", "спешат") } else { ("behind", "отстают") };
    let off_s = ahead_s.unsigned_abs();
    Said::new(
        format!(
            "this machine's clock is {off_s} s {en}: have it set from the network (timedatectl set-ntp true), else logins and calls fail"
        ),
        format!(
            "часы этой машины {ru} на {off_s} с: включите установку времени по сети (timedatectl set-ntp true), иначе входы и звонки не удаются"
        ),
    )
}

fn overloaded(what: Overload) -> Said {
    let (en, ru) = match what {
        Overload::Calls(most) => (
            format!("{most} calls are up, and max_calls of [gateway] in tgtrunk.toml lets no more in"),
            format!("идёт {most} звонков, а больше не пускает max_calls в [gateway] файла tgtrunk.toml"),
        ),
        Overload::Rate(most) => (
            format!(
                "more than {most} came in a second, and max_new_calls_per_s of [gateway] in tgtrunk.toml lets no more in"
            ),
            format!(
                "за секунду пришло больше {most}, а больше не пускает max_new_calls_per_s в [gateway] файла tgtrunk.toml"
            ),
        ),
        Overload::Lag => (
            "the machine does not keep up: free it of other work, or set max_calls in tgtrunk.toml lower".to_owned(),
            "машина не успевает: освободите её от другой работы или уменьшите max_calls в tgtrunk.toml".to_owned(),
        ),
        Overload::Files => (
            "the gateway has almost as many files open as the system lets it: raise LimitNOFILE of its service".to_owned(),
            "открыто почти столько файлов, сколько разрешает система: увеличьте LimitNOFILE службы шлюза".to_owned(),
        ),
    };
    Said::new(
        format!("new calls are refused, running ones go on: {en}"),
        format!("новые звонки отклоняются, идущие продолжаются: {ru}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::settings::Settings;

    const FILE: &str = "/etc/tgtrunk/tgtrunk.toml";

    #[test]
    fn a_fresh_installation_is_told_what_it_lacks_and_where_that_goes() {
        let said = of_settings("[gateway]\nlog = \"json\"\n");
        assert_eq!(
            said.en,
            "api_id and api_hash are missing: enter them on the page, System, or in /etc/tgtrunk/tgtrunk.toml; they are had at https://my.telegram.org"
        );
        assert!(said.ru.starts_with("нет api_id и api_hash: введите их на странице"));
    }

    #[test]
    fn a_wrong_key_is_told_with_its_place_and_what_is_allowed_in_both_languages() {
        let said = of_settings(
            "[telegram]\napi_id = 1\napi_hash = \"0123456789abcdef0123456789abcdef\"\nhash = 1\n",
        );
        let told = "/etc/tgtrunk/tgtrunk.toml:4: unknown key telegram.hash = 1: want one of api_id, api_hash";
        assert!(said.en.starts_with(told), "{}", said.en);
        assert!(said.in_language(Language::Russian).contains("telegram.hash"), "{}", said.ru);
    }

    #[test]
    fn what_the_system_refuses_is_told_with_its_remedy() {
        let path = Path::new("/var/lib/tgtrunk");
        let file =
            |kind| Trouble::of_file(&io::Error::from(kind), path).map(|trouble| Said::from(&trouble).en);
        assert_eq!(
            file(io::ErrorKind::StorageFull).unwrap(),
            "/var/lib/tgtrunk: the disk is full: make room on it, then it goes on by itself"
        );
        assert!(
            file(io::ErrorKind::PermissionDenied).unwrap().ends_with("chown -R tgtrunk: /var/lib/tgtrunk)")
        );
        assert!(file(io::ErrorKind::ReadOnlyFilesystem).unwrap().contains("read-only"));
        assert_eq!(file(io::ErrorKind::NotFound), None);
        let port = |kind| {
            let address = "127.0.0.1:30001".parse().unwrap();
            Trouble::of_port(&io::Error::from(kind), address, "sip_port in line.toml")
        };
        let told = Said::from(port(io::ErrorKind::AddrInUse).unwrap());
        assert!(
            told.en.starts_with(
                "port 127.0.0.1:30001 is in use by another program: stop it, or change sip_port"
            )
        );
        assert!(told.ru.starts_with("порт 127.0.0.1:30001 занят другой программой"));
        assert!(told.ru.contains("измените sip_port в line.toml (кто занял"));
        assert!(Said::from(port(io::ErrorKind::PermissionDenied).unwrap()).en.contains("above 1023"));
        assert!(
            Said::from(port(io::ErrorKind::AddrNotAvailable).unwrap()).en.starts_with("127.0.0.1 is not")
        );
        assert_eq!(port(io::ErrorKind::NotFound), None);
    }

    #[test]
    fn too_much_to_do_is_told_with_what_lets_more_in() {
        let told = |what| Said::from(&Trouble::Overloaded(what));
        let calls = told(Overload::Calls(1_000));
        assert!(
            calls
                .en
                .starts_with("new calls are refused, running ones go on: 1000 calls are up, and max_calls")
        );
        assert!(calls.ru.contains("идёт 1000 звонков") && calls.ru.contains("max_calls"));
        assert!(told(Overload::Rate(100)).en.contains("100 came in a second, and max_new_calls_per_s"));
        assert!(told(Overload::Lag).en.contains("does not keep up"));
        assert!(told(Overload::Files).en.contains("LimitNOFILE"));
    }

    #[test]
    fn a_clock_is_told_when_it_is_too_far_off_and_not_before() {
        assert_eq!(Trouble::of_clock(30), None);
        assert_eq!(Trouble::of_clock(-30), None);
        let ahead = Said::from(Trouble::of_clock(31).unwrap());
        assert!(
            ahead.en.starts_with("this machine's clock is 31 s ahead") && ahead.ru.contains("спешат на 31 с")
        );
        assert!(Trouble::is_clock(&ahead) && !Trouble::is_clock(&Said::from("this machine is off")));
        let behind = Said::from(Trouble::of_clock(i64::MIN).unwrap());
        assert!(behind.en.contains("s behind") && behind.ru.contains("отстают"));
    }

    fn of_settings(text: &str) -> Said {
        let error = Settings::parse(text, Path::new(FILE)).unwrap_err();
        Trouble::of_settings(&error).into()
    }
}
