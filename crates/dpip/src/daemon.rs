// SPDX-License-Identifier: MIT OR Apache-2.0
//! The connection to the daemon: made when first needed, kept for the commands of a batch.

use dpvs_api::types::{AddrRef, DeviceFilter, DeviceRef, TransactionSpec, WriteSpec};
use dpvs_api::{Client, ClientError, Method, method, socket_path};
use std::path::{Path, PathBuf};

/// The daemon that a command talks to.
#[derive(Debug, Default)]
pub(crate) struct Daemon {
    path: PathBuf,
    client: Option<Client>,
}

impl Daemon {
    /// Chooses the socket; a connection to another one is closed.
    pub(crate) fn use_socket(&mut self, given: Option<&Path>) {
        let path = socket_path(given);
        if path != self.path {
            self.client = None;
            self.path = path;
        }
    }

    /// Calls a method.
    ///
    /// # Errors
    /// As [`Client::call`]. After anything but a refusal the next call connects anew.
    pub(crate) fn call<M: Method>(&mut self, params: &M::Params) -> Result<M::Reply, ClientError> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => Client::connect(&self.path)?,
        };
        let reply = client.call::<M>(params);
        if matches!(reply, Ok(_) | Err(ClientError::Refused(_))) {
            self.client = Some(client);
        }
        reply
    }

    /// Removes the addresses of a port, of one family if the filter names one.
    ///
    /// The API flushes both families, so those of one are removed in a transaction on what was
    /// listed: addresses that another client adds meanwhile make it fail, not vanish.
    pub(crate) fn flush_addrs(&mut self, filter: &DeviceFilter) -> Result<(), ClientError> {
        let device = filter.device.clone().unwrap_or_default();
        if filter.family.is_none() {
            return self.call::<method::AddrFlush>(&DeviceRef { device }).map(|_| ());
        }
        let list = self.call::<method::AddrList>(filter)?;
        if list.addrs.is_empty() {
            return Ok(());
        }
        let write = |name: AddrRef| {
            let params = serde_json::value::to_raw_value(&name)
                .map_err(|error| ClientError::Protocol(error.to_string()))?;
            Ok(WriteSpec { method: method::AddrDel::NAME.to_owned(), params })
        };
        let writes = list
            .addrs
            .into_iter()
            .map(|info| {
                let address = info.addr.address;
                write(AddrRef {
                    address,
                    prefix_len: info.addr.prefix_len,
                    device: info.addr.device,
                })
            })
            .collect::<Result<_, ClientError>>()?;
        let generation = Some(list.generation);
        self.call::<method::Transaction>(&TransactionSpec { writes, generation, more: false })
            .map(|_| ())
    }
}
