// SPDX-License-Identifier: MIT OR Apache-2.0
//! A blocking client over the daemon's Unix socket. One request or one batch at a time.

use crate::batch::{Batch, Request, read_answers};
use crate::rpc::{LINE_BYTES_MAX, Response};
use crate::types::{
    AccessListParams, AccessPage, ConnListParams, Connection, LaddrList, LaddrListParams, Service,
    ServiceClients, ServiceLaddrs, ServiceListParams, ServicePage, ServiceSelector,
};
use crate::{Method, RequestId, RpcError, method};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the daemon listens unless told otherwise.
pub const SOCKET_PATH_DEFAULT: &str = "/run/dpvs/dpvs.sock";

/// How long a request may take before the daemon counts as hung.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// Returns the socket to use: the given one, `DPVS_SOCKET`, `DPVS_IPC_FILE` (the name that DPVS
/// uses), or [`SOCKET_PATH_DEFAULT`].
pub fn socket_path(given: Option<&Path>) -> PathBuf {
    let from_env = |name| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    given
        .map(Path::to_path_buf)
        .or_else(|| from_env("DPVS_SOCKET"))
        .or_else(|| from_env("DPVS_IPC_FILE"))
        .unwrap_or_else(|| PathBuf::from(SOCKET_PATH_DEFAULT))
}

/// Why a call did not come back with a reply.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("dpvs is not running: cannot connect to {path}: {source}", path = path.display())]
    NotRunning {
        /// The socket's path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The connection broke.
    #[error("lost the connection to dpvs: {0}")]
    Io(#[from] io::Error),
    /// The daemon's answer makes no sense to this client.
    #[error("cannot understand the answer of dpvs: {0}")]
    Protocol(String),
    /// The daemon refused.
    #[error(transparent)]
    Refused(#[from] RpcError),
}

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<UnixStream>,
    next_id: u64,
    /// How many requests the batch has that was sent and is not yet answered.
    sent: Option<usize>,
}

impl Client {
    /// Connects to the daemon.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] if nobody listens at `path` or it may not be opened.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path)
            .map_err(|source| ClientError::NotRunning { path: path.to_path_buf(), source })?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
        stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
        Ok(Client { reader: BufReader::new(stream), next_id: 1, sent: None })
    }

    /// Calls one method and waits for its reply.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if the daemon said no; otherwise the connection is unusable.
    pub fn call<M: Method>(&mut self, params: &M::Params) -> Result<M::Reply, ClientError> {
        self.exchange(M::NAME, params)
    }

    /// Calls a method by name with parameters as they are.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn call_raw<P: Serialize + ?Sized>(
        &mut self,
        name: &str,
        params: &P,
    ) -> Result<Value, ClientError> {
        self.exchange(name, params)
    }

    fn exchange<P: Serialize + ?Sized, R: DeserializeOwned>(
        &mut self,
        name: &str,
        params: &P,
    ) -> Result<R, ClientError> {
        self.check_is_free()?;
        let id = self.next_id;
        self.next_id += 1;
        let mut line = Vec::new();
        Request::new(id, name, params).write(&mut line)?;
        line.push(b'\n');
        self.reader.get_mut().write_all(&line)?;
        let answer = self.read_line()?;
        let broken = |e: serde_json::Error| ClientError::Protocol(e.to_string());
        let response: Response<R> = serde_json::from_slice(&answer).map_err(broken)?;
        if response.error.is_none() && response.id != RequestId::Number(id.into()) {
            return Err(ClientError::Protocol("an answer to another request".to_owned()));
        }
        response.into_outcome().map_err(broken)?.map_err(ClientError::Refused)
    }

    fn read_line(&mut self) -> Result<Vec<u8>, ClientError> {
        let mut line = Vec::new();
        let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
        (&mut self.reader).take(limit).read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            let text = "the connection ended in the middle of an answer";
            return Err(ClientError::Io(io::Error::new(io::ErrorKind::UnexpectedEof, text)));
        }
        Ok(line)
    }

    /// Sends a batch; [`Client::receive`] gets its answers, and only then more can be sent: the
    /// daemon, which does not take more than it can answer, would wait for this side to read.
    ///
    /// # Errors
    /// [`ClientError::Io`]: the connection is unusable.
    pub fn send(&mut self, batch: Batch) -> Result<(), ClientError> {
        self.check_is_free()?;
        let len = batch.len();
        if let Some(line) = batch.into_line() {
            self.reader.get_mut().write_all(&line)?;
            self.sent = Some(len);
        }
        Ok(())
    }

    fn check_is_free(&self) -> Result<(), ClientError> {
        match self.sent {
            None => Ok(()),
            Some(_) => Err(ClientError::Protocol("a batch is still to be answered".to_owned())),
        }
    }

    /// Waits for the answers to the batch that was sent, in the order of its requests; there are none
    /// if none was.
    ///
    /// # Errors
    /// As [`Client::call`]; a request that was refused is no error of the whole.
    pub fn receive<R: DeserializeOwned + Clone>(
        &mut self,
    ) -> Result<Vec<Result<R, RpcError>>, ClientError> {
        let Some(len) = self.sent.take() else { return Ok(Vec::new()) };
        let line = self.read_line()?;
        read_answers(&line, len)
    }

    /// Lists services over all pages; a service split between pages is put together again.
    ///
    /// The page's own `services` are all of them, `next` is `None`.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn list_services(
        &mut self,
        selector: &ServiceSelector,
    ) -> Result<ServicePage, ClientError> {
        let mut params =
            ServiceListParams { service: selector.service.clone(), ..ServiceListParams::default() };
        let mut page = self.call::<method::ServiceList>(&params)?;
        let mut all: Vec<Service> = Vec::new();
        loop {
            for service in page.services {
                match all.last_mut() {
                    Some(last) if last.service == service.service => {
                        last.dests.extend(service.dests);
                    }
                    _ => all.push(service),
                }
            }
            match page.next.take() {
                None => return Ok(ServicePage { services: all, next: None, ..page }),
                cursor => params.cursor = cursor,
            }
            page = self.call::<method::ServiceList>(&params)?;
        }
    }

    /// Lists the clients on the black lists or the white lists over all pages; a list split between
    /// pages is put together again.
    ///
    /// The page's own `services` are all of them, `next` is `None`.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn list_clients<M>(&mut self, selector: &ServiceSelector) -> Result<AccessPage, ClientError>
    where
        M: Method<Params = AccessListParams, Reply = AccessPage>,
    {
        let mut params =
            AccessListParams { service: selector.service.clone(), ..AccessListParams::default() };
        let mut all: Vec<ServiceClients> = Vec::new();
        loop {
            let page = self.call::<M>(&params)?;
            for list in page.services {
                match all.last_mut() {
                    Some(last) if last.service == list.service => last.clients.extend(list.clients),
                    _ => all.push(list),
                }
            }
            match page.next {
                None => return Ok(AccessPage { services: all, ..page }),
                cursor => params.cursor = cursor,
            }
        }
    }

    /// Lists local addresses over all pages; those of a service split between pages are put together
    /// again.
    ///
    /// The page's own `services` are all of them, `next` is `None`.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn list_laddrs(&mut self, selector: &ServiceSelector) -> Result<LaddrList, ClientError> {
        let mut params =
            LaddrListParams { service: selector.service.clone(), ..LaddrListParams::default() };
        let mut all: Vec<ServiceLaddrs> = Vec::new();
        loop {
            let page = self.call::<method::LaddrList>(&params)?;
            for list in page.services {
                match all.last_mut() {
                    Some(last) if last.service == list.service => last.laddrs.extend(list.laddrs),
                    _ => all.push(list),
                }
            }
            match page.next {
                None => return Ok(LaddrList { services: all, ..page }),
                cursor => params.cursor = cursor,
            }
        }
    }

    /// Lists connections over all pages, handing each to `each`.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn each_connection(
        &mut self,
        mut params: ConnListParams,
        mut each: impl FnMut(Connection),
    ) -> Result<(), ClientError> {
        loop {
            let page = self.call::<method::ConnList>(&params)?;
            page.connections.into_iter().for_each(&mut each);
            match page.next {
                None => return Ok(()),
                cursor => params.cursor = cursor,
            }
        }
    }
}
