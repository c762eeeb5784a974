// SPDX-License-Identifier: MIT OR Apache-2.0
//! Taking the socket's path: a stale socket is replaced, a live one is not.
//!
//! A file beside the socket is locked for as long as the daemon lives, so that of two daemons that
//! start together one wins. It stays when the daemon ends: removing it would let a third one lock a
//! file that the second has open but that nobody can see.

use super::authority::Authority;
use anyhow::{Context as _, bail};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr};
use nix::unistd::{Gid, chown};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// A socket that listens, with the lock on its path. It is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    _lock: Flock<File>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Takes the path and listens, for streams or for packets.
pub(super) fn take(path: &Path, kind: SockType, authority: &Authority) -> anyhow::Result<Socket> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(directory) = directory {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
    }
    let lock = lock(path)?;
    remove_stale(path)?;
    let listener = listen(path, kind, authority.socket_group())
        .with_context(|| format!("cannot listen on {}", path.display()))?;
    Ok(Socket { listener, path: path.to_owned(), _lock: lock })
}

fn lock(path: &Path) -> anyhow::Result<Flock<File>> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&name)
        .with_context(|| format!("cannot open {}", name.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((_, Errno::EWOULDBLOCK)) => bail!("another dpvs listens on {}", path.display()),
        Err((_, errno)) => Err(errno).with_context(|| format!("cannot lock {}", name.display())),
    }
}

/// Removes a socket that nobody listens on.
fn remove_stale(path: &Path) -> anyhow::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot look at {}", path.display()));
        }
    };
    if !metadata.file_type().is_socket() {
        bail!("{} is there and is no socket: remove it, or give another path", path.display());
    }
    match UnixStream::connect(path) {
        // Whether it was for streams or for packets: who does not listen refuses first.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)
            .with_context(|| format!("cannot remove the stale socket {}", path.display())),
        _ => bail!("another dpvs listens on {}", path.display()),
    }
}

/// Binds and listens. Nobody can connect before the mode and the group are right.
fn listen(path: &Path, kind: SockType, group: Option<Gid>) -> anyhow::Result<UnixListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket::socket(AddressFamily::Unix, kind, flags, None)?;
    socket::bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(0o660))?;
    if let Some(group) = group {
        chown(path, None, Some(group)).context("cannot give the socket to its group")?;
    }
    socket::listen(&fd, Backlog::new(BACKLOG)?)?;
    Ok(UnixListener::from(fd))
}
