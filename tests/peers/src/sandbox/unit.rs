//! What the `[Service]` section of a unit (systemd.service(5), systemd.exec(5)) asks for.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail, ensure};

/// A service's surroundings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unit {
    /// The word of `ExecStart=` by which the program is the service, and not a command that somebody types.
    pub(super) service: String,
    /// Names of calls and of sets of calls, those that are taken back marked so, in the unit's order.
    pub(super) filter: Vec<(Filtered, Vec<String>)>,
    /// Families of sockets; none without the setting.
    pub(super) families: Option<Vec<String>>,
    pub(super) refused: BTreeSet<Refused>,
    pub(super) views: BTreeSet<View>,
    /// Descriptors at once.
    pub(super) descriptors: Option<u64>,
    /// Bytes of a core.
    pub(super) core_bytes: Option<u64>,
    pub(super) umask: Option<u32>,
    /// The program writes into the folder of its settings.
    pub(super) writes_settings: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filtered {
    Allowed,
    TakenBack,
}

/// What is refused beside the filter, by arguments of calls or by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refused {
    Clock,
    ForeignPersonality,
    HostName,
    KernelLog,
    Modules,
    Namespaces,
    RawDevices,
    Realtime,
    SuidAndSgid,
    WritableCode,
}

/// What of the system's files is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum View {
    /// All is read-only but for what the unit names.
    ReadOnly,
    /// `/proc` shows processes alone, and one's own.
    OwnProcesses,
    /// `/dev` has no devices.
    NoDevices,
    /// `/var/tmp` is one's own. `/tmp`, where tests keep what they make, is read-only instead.
    OwnTemporaryFiles,
    /// The program is a user in a namespace of its own, where it has no capabilities.
    OwnUser,
}

/// Settings that systemd itself keeps, and those that cannot be had here, with the reason.
const LEFT: [(&str, &str); 18] = [
    ("Type", "systemd's own"),
    ("NotifyAccess", "systemd's own"),
    ("ExecReload", "systemd's own"),
    ("WatchdogSec", "systemd's own"),
    ("Restart", "systemd's own"),
    ("RestartSec", "systemd's own"),
    ("TimeoutStopSec", "systemd's own"),
    ("StateDirectory", "--state names it"),
    ("StateDirectoryMode", "who makes the folder says it"),
    ("Nice", "what measures says it itself"),
    ("User", "PrivateUsers makes one"),
    ("Group", "PrivateUsers makes one"),
    ("PrivateMounts", "mounts are its own here already"),
    ("ProtectHome", "the programs themselves may lie there"),
    ("ProtectControlGroups", "all is read-only"),
    ("ProtectKernelTunables", "all is read-only, and /proc shows none"),
    ("RemoveIPC", "no program has any"),
    ("KeyringMode", "no program has any"),
];

impl Unit {
    /// Reads a unit file.
    ///
    /// # Errors
    /// A setting is not known, or not as it can be had.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let mut unit = Self::default();
        let mut is_service = false;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if line.starts_with('[') {
                is_service = line == "[Service]";
            } else if is_service {
                let (key, value) = line.split_once('=').with_context(|| line.to_owned())?;
                unit.take(key, value).with_context(|| line.to_owned())?;
            }
        }
        ensure!(!unit.service.is_empty(), "ExecStart is missing");
        Ok(unit)
    }

    fn take(&mut self, key: &str, value: &str) -> anyhow::Result<()> {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        match key {
            "ExecStart" => self.service = words(value).pop().context("it starts nothing")?,
            "SystemCallFilter" => self.filter.push(match value.strip_prefix('~') {
                Some(rest) => (Filtered::TakenBack, words(rest)),
                None => (Filtered::Allowed, words(value)),
            }),
            "RestrictAddressFamilies" => self.families = Some(words(value)),
            "LimitNOFILE" => self.descriptors = Some(value.parse()?),
            "LimitCORE" => self.core_bytes = Some(value.parse()?),
            "UMask" => self.umask = Some(u32::from_str_radix(value, 8)?),
            "ReadWritePaths" => self.writes_settings = same(value, "/etc/tgtrunk")?,
            "ProtectSystem" => self.sees(View::ReadOnly, same(value, "strict")?),
            "ProtectProc" => self.sees(View::OwnProcesses, same(value, "invisible")?),
            "ProcSubset" => self.sees(View::OwnProcesses, same(value, "pid")?),
            "PrivateTmp" => self.sees(View::OwnTemporaryFiles, same(value, "yes")?),
            "PrivateUsers" => self.sees(View::OwnUser, same(value, "yes")?),
            "PrivateDevices" => {
                self.sees(View::NoDevices, same(value, "yes")?);
                self.refused.insert(Refused::RawDevices);
            }
            // What is always so: no program here may have any, see the parent module.
            "CapabilityBoundingSet" | "AmbientCapabilities" => drop(same(value, "")?),
            "NoNewPrivileges" => drop(same(value, "yes")?),
            "SystemCallArchitectures" => drop(same(value, "native")?),
            "SystemCallErrorNumber" => drop(same(value, "EPERM")?),
            _ if LEFT.iter().any(|(left, _)| *left == key) => {}
            _ => {
                let refused = match key {
                    "LockPersonality" => Refused::ForeignPersonality,
                    "MemoryDenyWriteExecute" => Refused::WritableCode,
                    "ProtectClock" => Refused::Clock,
                    "ProtectHostname" => Refused::HostName,
                    "ProtectKernelLogs" => Refused::KernelLog,
                    "ProtectKernelModules" => Refused::Modules,
                    "RestrictNamespaces" => Refused::Namespaces,
                    "RestrictRealtime" => Refused::Realtime,
                    "RestrictSUIDSGID" => Refused::SuidAndSgid,
                    _ => bail!("nothing here knows what it does"),
                };
                same(value, "yes")?;
                self.refused.insert(refused);
            }
        }
        Ok(())
    }

    fn sees(&mut self, view: View, so: bool) {
        if so {
            self.views.insert(view);
        }
    }
}

/// Another value would need other doings.
fn same(value: &str, known: &str) -> anyhow::Result<bool> {
    ensure!(value == known, "want {known:?}, the only value that is known here");
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_read_and_what_nobody_knows_is_refused() {
        let text = "[Unit]\nWhatever=1\n[Service]\n# A core would hold keys.\nLimitCORE=0\nUMask=0077\n\
                    ExecStart=/usr/bin/tgtrunk-gateway --config /etc/x.toml run\nSystemCallFilter=@system-service\n\
                    SystemCallFilter=~@privileged @resources\nRestrictAddressFamilies=AF_INET AF_UNIX\n\
                    MemoryDenyWriteExecute=yes\nProtectSystem=strict\n[Install]\nWantedBy=tgtrunk.target\n";
        let unit = Unit::read(text).unwrap();
        assert_eq!(unit.service, "run");
        assert_eq!((unit.core_bytes, unit.umask), (Some(0), Some(0o077)));
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let back = names(&["@privileged", "@resources"]);
        let filter = [(Filtered::Allowed, names(&["@system-service"])), (Filtered::TakenBack, back)];
        assert_eq!(unit.filter, filter);
        assert_eq!(unit.families, Some(names(&["AF_INET", "AF_UNIX"])));
        assert_eq!(unit.refused, BTreeSet::from([Refused::WritableCode]));
        assert_eq!(unit.views, BTreeSet::from([View::ReadOnly]));
        for (from, to) in [
            ("ProtectSystem=strict", "ProtectSystem=full"),
            ("LimitCORE=0", "LimitMEMLOCK=0"),
            ("ExecStart=", "ExecStop="),
        ] {
            let error = format!("{:#}", Unit::read(&text.replace(from, to)).unwrap_err());
            assert!(error.contains(to), "{error}");
        }
    }
}
