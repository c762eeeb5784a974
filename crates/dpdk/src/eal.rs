// SPDX-License-Identifier: MIT OR Apache-2.0
//! DPDK's environment: started once in a process, ended when its last user is gone.
//!
//! Everything that points into DPDK's memory holds the environment, but packet buffers do not: a
//! count for each packet would cost too much. So the environment is ended only if every buffer is
//! back in its pool, and is otherwise left to the end of the process.

use std::{
    collections::{HashMap, HashSet},
    ffi::{CStr, CString},
    fmt,
    ptr::NonNull,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::ThreadId,
};

use crate::{
    EalConfig, EalError, PortSpec, VdevOptions,
    error::{describe, last_errno},
    system,
    thread::ThreadGuard,
};

/// `rte_eal_init` may be called once in a process's life, even if it fails.
static STARTED: AtomicBool = AtomicBool::new(false);

/// DPDK's version, as `22.11.4`.
pub fn version() -> String {
    use dpdk_sys::{SHIM_VERSION_MINOR, SHIM_VERSION_MONTH, SHIM_VERSION_YEAR};
    format!("{SHIM_VERSION_YEAR}.{SHIM_VERSION_MONTH:02}.{SHIM_VERSION_MINOR}")
}

/// DPDK's number of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u16);

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A handle on DPDK's environment; clones are handles on the same one.
///
/// The environment ends when all handles, pools, ports, queues and registered threads are gone, on
/// the thread that started it, with every packet buffer freed. Otherwise it stays until the
/// process ends.
#[derive(Clone, Debug)]
pub struct Eal {
    inner: Arc<EalInner>,
}

/// What the handles share.
pub(crate) struct EalInner {
    main_thread: ThreadId,
    /// Also serialises every control call: DPDK's own are not safe against each other.
    state: Mutex<State>,
}

/// What is attached, open and made.
#[derive(Default)]
pub(crate) struct State {
    /// Ports that have a [`crate::Port`] or queues.
    pub(crate) open: HashSet<PortId>,
    /// Pools ever made; none is freed before the environment ends.
    pools: Vec<PoolPtr>,
    /// How many devices of each driver have been attached.
    device_counts: HashMap<String, u16>,
    /// The ports of the configuration, in its order.
    ports: Vec<PortId>,
}

/// A pool's address.
struct PoolPtr(NonNull<dpdk_sys::rte_mempool>);

// SAFETY: the pointer is only given to functions of DPDK that may be called from any thread.
unsafe impl Send for PoolPtr {}

impl Eal {
    /// The default configuration, to be changed and ended with [`EalConfig::init`].
    pub fn builder() -> EalConfig {
        EalConfig::default()
    }

    /// Starts DPDK and attaches the ports of the configuration.
    ///
    /// The calling thread keeps the CPUs it may run on.
    ///
    /// # Errors
    /// [`EalError::AlreadyStarted`] for every call after the first, a device's error if one cannot
    /// be used, or why DPDK did not start.
    pub fn init(config: &EalConfig) -> Result<Self, EalError> {
        for (spec, _) in &config.ports {
            spec.check()?;
        }
        let free_mb = system::free_hugepages_mb();
        config.check_hugepages(free_mb)?;
        let arguments = config.arguments(free_mb);
        let nul = |argument: String| CString::new(argument.clone()).map_err(|_| argument);
        let arguments: Result<Vec<_>, _> = arguments.into_iter().map(nul).collect();
        let arguments = arguments.map_err(EalError::NulByte)?;
        if STARTED.swap(true, Ordering::SeqCst) {
            return Err(EalError::AlreadyStarted);
        }
        start(arguments, config)?;
        let inner = EalInner {
            main_thread: std::thread::current().id(),
            state: Mutex::new(State::default()),
        };
        let eal = Self { inner: Arc::new(inner) };
        for (spec, options) in &config.ports {
            let id = if spec.is_pci() {
                let missing = || EalError::NoPciDevice { device: spec.to_string() };
                eal.port_by_name(&spec.device_name(0)).ok_or_else(missing)?
            } else {
                eal.attach(spec, options)?
            };
            eal.inner.lock().ports.push(id);
        }
        Ok(eal)
    }

    /// The ports of the configuration, in its order.
    pub fn ports(&self) -> Vec<PortId> {
        self.inner.lock().ports.clone()
    }

    /// The port on the device of this name.
    pub fn port_by_name(&self, name: &str) -> Option<PortId> {
        let name = CString::new(name).ok()?;
        let _state = self.inner.lock();
        find_port(&name)
    }

    /// Attaches a virtual device and gives its port.
    ///
    /// # Errors
    /// Why the device cannot be used; [`EalError::TooLateForPci`] for a card that was not in the
    /// configuration.
    pub fn attach(&self, spec: &PortSpec, options: &VdevOptions) -> Result<PortId, EalError> {
        spec.check()?;
        let device = spec.to_string();
        if spec.is_pci() {
            let found = self.port_by_name(&spec.device_name(0));
            return found.ok_or(EalError::TooLateForPci { device });
        }
        let mut state = self.inner.lock();
        let driver = spec.driver().unwrap_or_default().to_owned();
        let count = state.device_counts.entry(driver.clone()).or_default();
        let name = spec.device_name(*count);
        *count = count.saturating_add(1);

        let arguments = spec.device_arguments(options);
        let argument = format!("{name},{arguments}");
        let nul = || EalError::NulByte(argument.clone());
        let c_name = CString::new(name.as_str()).map_err(|_| nul())?;
        let c_arguments = CString::new(arguments.as_str()).map_err(|_| nul())?;
        if find_port(&c_name).is_some() {
            return Err(EalError::DeviceInUse { device: name });
        }
        // SAFETY: DPDK is started; the three strings are NUL-terminated and live through the call,
        // which copies them; the lock keeps other control calls out.
        let rc = unsafe {
            dpdk_sys::rte_eal_hotplug_add(c"vdev".as_ptr(), c_name.as_ptr(), c_arguments.as_ptr())
        };
        if rc == 0
            && let Some(id) = find_port(&c_name)
        {
            return Ok(id);
        }
        if cfg!(not(feature = "static")) && !is_driver_loaded(&driver) {
            let package = debian_package(&driver);
            return Err(EalError::MissingDriver { device, driver, package });
        }
        let reason = match rc {
            0 => "no port appeared".to_owned(),
            // Drivers give -1 without meaning EPERM.
            -1 => "the driver refused it".to_owned(),
            _ => describe(rc),
        };
        Err(EalError::Attach { device, argument, reason })
    }

    /// Removes a virtual device that [`Eal::attach`] made; its port must be closed.
    ///
    /// # Errors
    /// [`EalError::DeviceInUse`] while the port is open, or the driver's error.
    pub fn detach(&self, name: &str) -> Result<(), EalError> {
        let device = name.to_owned();
        let c_name = CString::new(name).map_err(|_| EalError::NulByte(name.to_owned()))?;
        let state = self.inner.lock();
        if find_port(&c_name).is_some_and(|id| state.open.contains(&id)) {
            return Err(EalError::DeviceInUse { device });
        }
        // SAFETY: DPDK is started; both strings are NUL-terminated and live through the call; no
        // queue of the device is alive, as checked; the lock keeps other control calls out.
        let rc = unsafe { dpdk_sys::rte_eal_hotplug_remove(c"vdev".as_ptr(), c_name.as_ptr()) };
        drop(state);
        if rc == 0 {
            return Ok(());
        }
        Err(EalError::Attach { device, argument: name.to_owned(), reason: describe(rc) })
    }

    /// Makes the calling thread known to DPDK, which gives it caches in the pools.
    ///
    /// # Errors
    /// If the thread is known already (as the one that started DPDK is), or there are too many.
    pub fn register_thread(&self) -> Result<ThreadGuard, EalError> {
        ThreadGuard::new(Arc::clone(&self.inner))
    }

    pub(crate) fn inner(&self) -> &Arc<EalInner> {
        &self.inner
    }
}

impl EalInner {
    /// Takes the lock that every control call holds.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent between any two statements, so a panic elsewhere leaves it so.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all packet buffers are back in their pools.
    fn is_idle(&self) -> bool {
        let state = self.lock();
        state.pools.iter().all(|pool| {
            // SAFETY: pools are never freed while the environment lives.
            let in_use = unsafe { dpdk_sys::rte_mempool_in_use_count(pool.0.as_ptr()) };
            in_use == 0
        })
    }
}

impl State {
    /// Remembers a pool, so that its buffers are counted at the end.
    pub(crate) fn add_pool(&mut self, pool: NonNull<dpdk_sys::rte_mempool>) {
        self.pools.push(PoolPtr(pool));
    }
}

impl fmt::Debug for EalInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EalInner").field("main_thread", &self.main_thread).finish_non_exhaustive()
    }
}

impl Drop for EalInner {
    fn drop(&mut self) {
        // Only this thread may still have a pool's cache: registered ones hold a handle.
        if std::thread::current().id() != self.main_thread || !self.is_idle() {
            return;
        }
        // SAFETY: DPDK is started, and this is the thread that did it. No pool, port, queue or
        // registered thread is left, for each holds a handle on `self`; no buffer is in use, as
        // `is_idle` found, and none can be taken without a pool. So nothing points into the memory
        // that this unmaps.
        unsafe { dpdk_sys::rte_eal_cleanup() };
    }
}

/// Calls `rte_eal_init`. The caller has made sure that it is the first.
fn start(arguments: Vec<CString>, config: &EalConfig) -> Result<(), EalError> {
    // SAFETY: sets DPDK's stream to the C library's stderr, which is open for the process's life;
    // DPDK has no other thread yet.
    unsafe { dpdk_sys::shim_log_to_stderr() };
    // EAL permutes the array and may keep pointers into it: it is leaked, once in a process.
    let mut argv: Vec<_> = arguments.into_iter().map(CString::into_raw).collect();
    let argc = i32::try_from(argv.len()).unwrap_or(i32::MAX);
    argv.push(std::ptr::null_mut());
    let argv = argv.leak();
    // SAFETY: `argv` holds `argc` NUL-terminated strings and a null, all writable and leaked, so
    // they outlive DPDK; `STARTED` lets one call through in the process's life.
    let rc = unsafe { dpdk_sys::rte_eal_init(argc, argv.as_mut_ptr()) };
    if rc >= 0 {
        remove_runtime_directory();
        return Ok(());
    }
    let errno = last_errno();
    let hugepages = config.uses_hugepages(system::free_hugepages_mb());
    if errno == nix::libc::ENOMEM {
        let kind = if hugepages { "hugepages" } else { "ordinary pages" };
        let reason = describe(errno);
        return Err(EalError::Memory { memory_mb: config.memory_mb, kind, reason });
    }
    if errno == nix::libc::EACCES || errno == nix::libc::EPERM {
        let (device, capability) = ("DPDK".to_owned(), "CAP_SYS_ADMIN");
        return Err(EalError::Privilege { device, capability });
    }
    Err(EalError::Init(describe(errno)))
}

/// Removes the directory that EAL makes for files which the options we give keep it from making.
fn remove_runtime_directory() {
    // SAFETY: DPDK is started; it answers with a static buffer.
    let directory = unsafe { dpdk_sys::rte_eal_get_runtime_dir() };
    if directory.is_null() {
        return;
    }
    // SAFETY: not null, NUL-terminated, static, and written only by `rte_eal_init`.
    let directory = unsafe { CStr::from_ptr(directory) };
    // An error means that something is in it after all, and then it must stay.
    let _ = std::fs::remove_dir(directory.to_string_lossy().as_ref());
}

/// The port on the device of this name. The caller holds the lock, or is alone.
fn find_port(name: &CStr) -> Option<PortId> {
    let mut id = 0;
    // SAFETY: DPDK is started, for an `Eal` exists; the name is NUL-terminated; `id` is writable.
    let rc = unsafe { dpdk_sys::rte_eth_dev_get_port_by_name(name.as_ptr(), &raw mut id) };
    (rc == 0).then_some(PortId(id))
}

/// Whether the driver's library is loaded. One library may hold several drivers: `net_virtio` has
/// `net_virtio_user`.
fn is_driver_loaded(driver: &str) -> bool {
    let mut name = driver;
    while let Some((shorter, _)) = name.rsplit_once('_') {
        if system::is_library_loaded(&format!("librte_{name}")) {
            return true;
        }
        name = shorter;
    }
    false
}

/// The Debian package of a driver: its name ends in DPDK's ABI version, which changes with every
/// November release.
fn debian_package(driver: &str) -> String {
    let (year, month) = (dpdk_sys::SHIM_VERSION_YEAR, dpdk_sys::SHIM_VERSION_MONTH);
    let abi = if month >= 11 { year + 1 } else { year };
    let name = driver.replace('_', "-");
    // A name that ends in a digit is kept apart from the version.
    let dash = if name.ends_with(|c: char| c.is_ascii_digit()) { "-" } else { "" };
    format!("librte-{name}{dash}{abi}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_package_names_the_abi() {
        let package = debian_package("net_af_packet");
        let abi = package.strip_prefix("librte-net-af-packet").unwrap();
        assert!(abi.parse::<u32>().unwrap() >= 23, "{package}");
        assert!(debian_package("net_e1000").starts_with("librte-net-e1000-"));
    }
}
