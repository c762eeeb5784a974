// SPDX-License-Identifier: MIT OR Apache-2.0
//! `link.*`.

use super::convert::{Wanted, device, error, mac, refused};
use crate::control::{Control, LinkChange, Stage};
use dpvs_api::types::{DeviceFilter, LinkInfo, LinkList, LinkSpec};
use dpvs_api::{ErrorCode, RpcError};
use dpvs_core::tables::Port;

/// Changes the given settings of a port.
pub(super) fn set(stage: &mut Stage<'_>, spec: &LinkSpec) -> Result<(), RpcError> {
    let mut port = device(stage.tables(), &spec.device)?.clone();
    if spec.allmulticast == Some(true) {
        let text = "taking frames for all multicast link addresses is not offered; promisc is";
        return Err(error(ErrorCode::NotSupported, text, "allmulticast"));
    }
    if let Some(text) = &spec.lladdr
        && mac(text)? != port.mac
    {
        let text = "a port keeps the link address that it has from its device";
        return Err(error(ErrorCode::NotSupported, text, "lladdr"));
    }
    if let Some(on) = spec.promisc {
        stage.change_link(port.id, LinkChange::Promiscuous(on));
    }
    if let Some(mtu) = spec.mtu {
        stage.change_link(port.id, LinkChange::Mtu(mtu));
        port.mtu = mtu;
        stage.draft.set_port(port.clone()).map_err(refused)?;
    }
    if let Some(up) = spec.up {
        stage.change_link(port.id, LinkChange::Up(up));
    }
    Ok(())
}

/// Lists ports.
pub(super) fn list(control: &Control, filter: &DeviceFilter) -> Result<LinkList, RpcError> {
    let tables = control.tables();
    let wanted = Wanted::new(tables, filter)?;
    let links = tables
        .ports()
        .iter()
        .zip(control.links())
        .filter(|(port, _)| wanted.has_port(port.id))
        .map(|(port, link)| fill_in(control, port, link.info()))
        .collect();
    Ok(LinkList { links })
}

/// Adds what the port itself does not know. Every worker has a queue in each direction, as far as the
/// device has so many.
fn fill_in(control: &Control, port: &Port, info: LinkInfo) -> LinkInfo {
    let workers = u32::try_from(control.workers().len()).unwrap_or(u32::MAX);
    LinkInfo {
        index: u32::from(port.id.0),
        device: port.name.clone(),
        mtu: port.mtu,
        rx_queues: info.rx_queues.min(workers),
        tx_queues: info.tx_queues.min(workers),
        lladdr: port.mac.to_string(),
        ..info
    }
}
