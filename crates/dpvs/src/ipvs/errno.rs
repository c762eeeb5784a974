// SPDX-License-Identifier: MIT OR Apache-2.0
//! Errors as the kernel's IPVS numbers them: stock tools choose their texts by them.

use dpvs_api::{ErrorCode, RpcError};
use nix::errno::Errno;

/// Returns the number of an error of the API.
pub(super) fn of(error: &RpcError) -> Errno {
    match error.kind() {
        ErrorCode::Exist => Errno::EEXIST,
        ErrorCode::NoService => Errno::ESRCH,
        ErrorCode::NoDest | ErrorCode::NoScheduler => Errno::ENOENT,
        ErrorCode::Range => Errno::ERANGE,
        ErrorCode::Permission => Errno::EPERM,
        ErrorCode::NoDevice => Errno::ENODEV,
        ErrorCode::NoRoute => Errno::EHOSTUNREACH,
        ErrorCode::Busy => Errno::EBUSY,
        // Not EOPNOTSUPP, of which stock tools say that it is about IPv6.
        ErrorCode::NotSupported => Errno::ENOSYS,
        ErrorCode::NoMemory => Errno::ENOMEM,
        ErrorCode::Conflict => Errno::EAGAIN,
        ErrorCode::Internal => Errno::EIO,
        ErrorCode::Parse
        | ErrorCode::InvalidRequest
        | ErrorCode::MethodNotFound
        | ErrorCode::InvalidParams
        | ErrorCode::Invalid => Errno::EINVAL,
    }
}
