// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who may do what, by the credentials that the kernel tells of a client.

use crate::api::{self, Reply, Session};
use crate::control::{Control, ControlOptions};
use anyhow::{Context as _, bail};
use dpvs_api::{Access, Call, ErrorCode, RpcError};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{Gid, Group, Uid, User, geteuid, getgrouplist};
use std::ffi::CString;
use std::os::unix::net::UnixStream;

/// What a client may do; each includes the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rights {
    /// Nothing.
    None,
    /// Listings.
    Read,
    /// Everything.
    Write,
}

impl Rights {
    /// Refuses what the client may not do.
    pub(crate) fn check(self, access: Access) -> Result<(), RpcError> {
        let (needed, text) = match access {
            Access::Read => {
                (Rights::Read, "only root and members of the admin and reader groups may read")
            }
            Access::Write | Access::Operate => {
                (Rights::Write, "only root and members of the admin group may change anything")
            }
        };
        if self >= needed { Ok(()) } else { Err(RpcError::new(ErrorCode::Permission, text)) }
    }
}

/// A client's process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// Its user.
    pub(crate) uid: u32,
    /// Its process.
    pub(crate) pid: i32,
    /// What it may do.
    pub(crate) rights: Rights,
}

impl Peer {
    /// Carries out a call if the client may make it; logs every change and who asked for it.
    ///
    /// # Errors
    /// Why it was refused.
    pub(crate) fn call(
        self,
        control: &mut Control,
        session: &mut Session,
        call: Call,
    ) -> Result<Reply, RpcError> {
        let (method, access) = (call.name(), call.access());
        self.change(method, access, || api::call(control, session, call))
    }

    /// The same for what is no single call.
    ///
    /// # Errors
    /// Why it was refused.
    pub(crate) fn change<T>(
        self,
        method: &str,
        access: Access,
        work: impl FnOnce() -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        let outcome = self.rights.check(access).and_then(|()| work());
        if access != Access::Read {
            let Peer { uid, pid, .. } = self;
            match &outcome {
                Ok(_) => tracing::info!(uid, pid, method, "done"),
                Err(error) => tracing::info!(uid, pid, method, "refused: {error}"),
            }
        }
        outcome
    }
}

/// The rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Authority {
    own: Uid,
    admin: Option<Gid>,
    reader: Option<Gid>,
}

impl Authority {
    /// Finds the groups.
    pub(crate) fn new(options: &ControlOptions) -> anyhow::Result<Self> {
        let authority = Authority {
            own: geteuid(),
            admin: group(options.admin_group.as_deref())?,
            reader: group(options.reader_group.as_deref())?,
        };
        if let (Some(admin), Some(reader)) = (&options.admin_group, &options.reader_group)
            && admin != reader
        {
            tracing::warn!(
                "the socket belongs to group {reader}: members of {admin} need it too to connect"
            );
        }
        Ok(authority)
    }

    /// Returns the group that the socket file belongs to.
    pub(crate) fn socket_group(&self) -> Option<Gid> {
        self.reader.or(self.admin)
    }

    /// Says what a user in these groups may do.
    pub(crate) fn rights(&self, uid: Uid, groups: &[Gid]) -> Rights {
        let is_in = |group: Option<Gid>| group.is_some_and(|group| groups.contains(&group));
        if uid.is_root() || uid == self.own || is_in(self.admin) {
            Rights::Write
        } else if is_in(self.reader) {
            Rights::Read
        } else {
            Rights::None
        }
    }

    /// Finds out who is at the other end.
    pub(crate) fn peer(&self, stream: &UnixStream) -> nix::Result<Peer> {
        let credentials = getsockopt(stream, sockopt::PeerCredentials)?;
        let (uid, gid) = (Uid::from_raw(credentials.uid()), Gid::from_raw(credentials.gid()));
        let mut groups = vec![gid];
        // The user database may be slow: it is asked only where the answer can matter.
        if self.rights(uid, &[]) < Rights::Write && self.socket_group().is_some() {
            groups.extend(groups_of(uid, gid));
        }
        Ok(Peer { uid: uid.as_raw(), pid: credentials.pid(), rights: self.rights(uid, &groups) })
    }
}

fn group(name: Option<&str>) -> anyhow::Result<Option<Gid>> {
    let Some(name) = name else { return Ok(None) };
    match Group::from_name(name).with_context(|| format!("cannot look up the group {name}"))? {
        Some(group) => Ok(Some(group.gid)),
        None => bail!("there is no group {name}: make it (groupadd --system {name})"),
    }
}

/// The groups that a user is a member of by the user database.
fn groups_of(uid: Uid, gid: Gid) -> Vec<Gid> {
    let name = User::from_uid(uid).ok().flatten().and_then(|user| CString::new(user.name).ok());
    name.and_then(|name| getgrouplist(&name, gid).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(admin: Option<u32>, reader: Option<u32>) -> Authority {
        let gid = |raw: Option<u32>| raw.map(Gid::from_raw);
        Authority { own: Uid::from_raw(500), admin: gid(admin), reader: gid(reader) }
    }

    fn rights(authority: Authority, uid: u32, groups: &[u32]) -> Rights {
        let groups: Vec<Gid> = groups.iter().map(|raw| Gid::from_raw(*raw)).collect();
        authority.rights(Uid::from_raw(uid), &groups)
    }

    #[test]
    fn root_the_daemon_and_admins_write_readers_read_others_nothing() {
        let both = authority(Some(10), Some(20));
        assert_eq!(rights(both, 0, &[]), Rights::Write);
        assert_eq!(rights(both, 500, &[]), Rights::Write);
        assert_eq!(rights(both, 1000, &[10]), Rights::Write);
        assert_eq!(rights(both, 1000, &[20]), Rights::Read);
        assert_eq!(rights(both, 1000, &[30, 20, 10]), Rights::Write);
        assert_eq!(rights(both, 1000, &[30]), Rights::None);
        // Without groups, membership in group 0 gives nothing.
        assert_eq!(rights(authority(None, None), 1000, &[0]), Rights::None);
    }

    #[test]
    fn readers_are_refused_writes_and_operations() {
        assert!(Rights::Read.check(Access::Read).is_ok());
        for access in [Access::Write, Access::Operate] {
            let error = Rights::Read.check(access).unwrap_err();
            assert_eq!(error.kind(), ErrorCode::Permission);
            assert!(Rights::Write.check(access).is_ok());
        }
        assert!(Rights::None.check(Access::Read).is_err());
    }

    #[test]
    fn a_group_that_is_not_there_is_told_with_the_fix() {
        let error = group(Some("dpvs-no-such-group")).unwrap_err();
        assert!(error.to_string().contains("groupadd"), "{error}");
    }
}
