// SPDX-License-Identifier: MIT OR Apache-2.0
//! How DPDK is to be started: the choices, and the arguments of `rte_eal_init` they become.

use crate::{Eal, EalError, PortSpec, VdevOptions, system};

/// Memory for packet buffers and rings when the caller says nothing: ordinary pages are taken only
/// as they are touched, so this costs nothing until it is used.
const MEMORY_MB_DEFAULT: u32 = 512;

/// Whether DPDK's memory is in hugepages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hugepages {
    /// If the machine has enough free ones for the memory asked for.
    #[default]
    Auto,
    /// Always; starting fails where there are none.
    Always,
    /// Never.
    Never,
}

/// The least severe of DPDK's own messages that reach stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogLevel {
    /// Only what makes something fail.
    Error,
    /// What may be wrong.
    #[default]
    Warning,
    /// What an operator may want to know.
    Notice,
    /// Everything but debugging.
    Info,
    /// Everything.
    Debug,
}

impl LogLevel {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// How to start DPDK; made by [`Eal::builder`], ended by [`EalConfig::init`].
#[derive(Clone, Debug)]
pub struct EalConfig {
    pub(crate) ports: Vec<(PortSpec, VdevOptions)>,
    pub(crate) memory_mb: u32,
    hugepages: Hugepages,
    log_level: LogLevel,
    file_prefix: Option<String>,
    extra: Vec<String>,
}

impl Default for EalConfig {
    fn default() -> Self {
        Self {
            ports: Vec::new(),
            memory_mb: MEMORY_MB_DEFAULT,
            hugepages: Hugepages::default(),
            log_level: LogLevel::default(),
            file_prefix: None,
            extra: Vec::new(),
        }
    }
}

impl EalConfig {
    /// Adds a port; [`Eal::ports`] lists them in this order.
    #[must_use]
    pub fn port(mut self, spec: PortSpec, options: VdevOptions) -> Self {
        self.ports.push((spec, options));
        self
    }

    /// Sets the MiB of memory for pools and queues.
    #[must_use]
    pub fn memory_mb(mut self, memory_mb: u32) -> Self {
        self.memory_mb = memory_mb;
        self
    }

    /// Sets whether hugepages are used.
    #[must_use]
    pub fn hugepages(mut self, hugepages: Hugepages) -> Self {
        self.hugepages = hugepages;
        self
    }

    /// Sets how much of DPDK's own messages reaches stderr.
    #[must_use]
    pub fn log_level(mut self, log_level: LogLevel) -> Self {
        self.log_level = log_level;
        self
    }

    /// Sets the name that keeps this process's files apart from those of others; unique by default.
    #[must_use]
    pub fn file_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.file_prefix = Some(prefix.into());
        self
    }

    /// Adds arguments for `rte_eal_init` as they are; they replace ours where both speak of the
    /// same thing.
    #[must_use]
    pub fn extra_args<I>(mut self, arguments: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.extra.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Starts DPDK; the same as [`Eal::init`].
    ///
    /// # Errors
    /// As [`Eal::init`].
    pub fn init(self) -> Result<Eal, EalError> {
        Eal::init(&self)
    }

    /// Whether hugepages are to be used, given how many MiB of them are free.
    pub(crate) fn uses_hugepages(&self, free_mb: u64) -> bool {
        match self.hugepages {
            Hugepages::Auto => {
                free_mb >= u64::from(self.memory_mb) && !self.is_given(&["--no-huge"])
            }
            Hugepages::Always => true,
            Hugepages::Never => false,
        }
    }

    /// Refuses hugepages that are not there: DPDK would say that it lacks permission, and could not
    /// be started again.
    pub(crate) fn check_hugepages(&self, free_mb: u64) -> Result<(), EalError> {
        let wanted_mb = u64::from(self.memory_mb);
        let is_ours = !self.is_given(&["-m", "--socket-mem"]);
        if !is_ours || !self.uses_hugepages(free_mb) || free_mb >= wanted_mb {
            return Ok(());
        }
        let pages = wanted_mb.div_ceil(2);
        Err(EalError::Memory {
            memory_mb: self.memory_mb,
            kind: "hugepages",
            reason: format!("{free_mb} MiB are free: sysctl vm.nr_hugepages={pages}"),
        })
    }

    /// The arguments of `rte_eal_init`, the program's name first.
    pub(crate) fn arguments(&self, free_hugepages_mb: u64) -> Vec<String> {
        let mut list = vec!["dpdk".to_owned(), "--no-telemetry".to_owned()];
        // 22.11 refuses --no-huge together with --in-memory. Either keeps files from being left
        // behind.
        if self.uses_hugepages(free_hugepages_mb) {
            list.push("--in-memory".to_owned());
        } else {
            list.extend(["--no-huge", "--no-shconf"].map(str::to_owned));
        }
        if !self.is_given(&["-m", "--socket-mem"]) {
            list.extend(["-m".to_owned(), self.memory_mb.to_string()]);
        }
        if !self.is_given(&["--file-prefix"]) {
            let unique = || format!("dpvs-{}", std::process::id());
            let prefix = self.file_prefix.clone().unwrap_or_else(unique);
            list.push(format!("--file-prefix={prefix}"));
        }
        // rte_eal_init pins the calling thread to one CPU, and threads made later inherit that.
        if !self.is_given(&["-l", "-c", "--lcores"])
            && let Some(cpus) = system::allowed_cpus()
        {
            list.push(format!("--lcores=0@({cpus})"));
        }
        if !self.is_given(&["--log-level"]) {
            list.push(format!("--log-level={}", self.log_level.name()));
            if matches!(self.log_level, LogLevel::Error | LogLevel::Warning) {
                // Complains in four lines of each interface where the kernel has no multiq qdisc,
                // which only its rte_flow rules need.
                list.push("--log-level=pmd.net.tap:critical".to_owned());
            }
        }
        let pci: Vec<_> = self.ports.iter().filter(|(spec, _)| spec.is_pci()).collect();
        if pci.is_empty() && !self.is_given(&["-a", "--allow", "-b", "--block", "--no-pci"]) {
            list.push("--no-pci".to_owned());
        }
        list.extend(pci.iter().flat_map(|(spec, _)| ["-a".to_owned(), spec.to_string()]));
        list.extend(self.extra.iter().cloned());
        list
    }

    /// Whether the extra arguments hold one of these options.
    fn is_given(&self, options: &[&str]) -> bool {
        self.extra.iter().any(|argument| {
            let name = argument.split('=').next().unwrap_or(argument);
            // A short option may have its value attached: -m512.
            let is_short = |option: &&str| option.len() == 2 && argument.starts_with(*option);
            options.contains(&name) || (!argument.starts_with("--") && options.iter().any(is_short))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_hugepages_or_cards_neither_is_asked_for() {
        let list = Eal::builder().file_prefix("x").arguments(0).join(" ");
        assert!(list.contains("--no-huge --no-shconf -m 512 --file-prefix=x --lcores=0@("));
        assert!(
            list.ends_with("--log-level=warning --log-level=pmd.net.tap:critical --no-pci"),
            "{list}"
        );
    }

    #[test]
    fn free_hugepages_are_used_unless_forbidden() {
        let config = Eal::builder().memory_mb(64);
        assert!(config.uses_hugepages(64));
        assert!(!config.uses_hugepages(63));
        assert!(!config.clone().hugepages(Hugepages::Never).uses_hugepages(64));
        assert!(!config.clone().extra_args(["--no-huge"]).uses_hugepages(64));
        assert!(config.arguments(64).contains(&"--in-memory".to_owned()));
    }

    #[test]
    fn cards_are_allowed_one_by_one() {
        let spec = "03:00.1".parse().unwrap();
        let list = Eal::builder().port(spec, VdevOptions::default()).arguments(0).join(" ");
        assert!(list.ends_with("-a 0000:03:00.1"), "{list}");
    }

    #[test]
    fn extra_arguments_replace_ours() {
        let list = Eal::builder().extra_args(["-m1024", "-l", "1", "--file-prefix=y"]).arguments(0);
        let text = list.join(" ");
        assert!(!text.contains("-m 512") && !text.contains("--lcores"), "{text}");
        assert_eq!(text.matches("--file-prefix").count(), 1);
    }
}
