// SPDX-License-Identifier: MIT OR Apache-2.0
//! Listings.

use super::{Operation, Session, refusal};
use crate::Failure;
use crate::invocation::{AccessList, ConnListing, Format, ServiceListing};
use crate::render::{self, Namer, connections as rows};
use dpvs_api::types::{
    AccessPage, ConnListParams, ConnPage, Empty, ServicePage, ServiceSelector, Timeouts,
};
use dpvs_api::{ClientError, method};

fn refused(error: ClientError) -> Failure {
    refusal(Operation::List, error)
}

/// Fetches services over all pages; one that was asked for and is not there is an error.
pub(super) fn fetch(
    session: &mut Session<'_>,
    selector: &ServiceSelector,
) -> Result<ServicePage, Failure> {
    let page = session.client()?.list_services(selector).map_err(refused)?;
    if selector.service.is_some() && page.services.is_empty() {
        return Err(Failure::listing("No such service"));
    }
    Ok(page)
}

pub(super) fn services(
    session: &mut Session<'_>,
    listing: &ServiceListing,
    format: Format,
) -> Result<(), Failure> {
    let selector = ServiceSelector { service: listing.service.clone() };
    let page = fetch(session, &selector)?;
    if format == Format::Json {
        return session.write_json(&page);
    }
    let text = render::services::render(&page, listing, format, session.names);
    session.out.write(&text);
    Ok(())
}

pub(super) fn laddrs(
    session: &mut Session<'_>,
    selector: &ServiceSelector,
    format: Format,
) -> Result<(), Failure> {
    let list = session.client()?.list_laddrs(selector).map_err(refused)?;
    if format == Format::Json {
        return session.write_json(&list);
    }
    session.out.write(&render::laddrs::render(&list));
    Ok(())
}

/// Fetches the clients on black lists or on white lists, over all pages.
pub(super) fn fetch_clients(
    session: &mut Session<'_>,
    list: AccessList,
    selector: &ServiceSelector,
) -> Result<AccessPage, Failure> {
    let client = session.client()?;
    let page = match list {
        AccessList::Black => client.list_clients::<method::BlacklistList>(selector),
        AccessList::White => client.list_clients::<method::WhitelistList>(selector),
    };
    page.map_err(refused)
}

pub(super) fn clients(
    session: &mut Session<'_>,
    list: AccessList,
    selector: &ServiceSelector,
    format: Format,
) -> Result<(), Failure> {
    let page = fetch_clients(session, list, selector)?;
    if format == Format::Json {
        return session.write_json(&page);
    }
    session.out.write(&render::clients::render(&page, list));
    Ok(())
}

pub(super) fn timeouts(session: &mut Session<'_>, format: Format) -> Result<(), Failure> {
    let timeouts: Timeouts =
        session.client()?.call::<method::TimeoutGet>(&Empty {}).map_err(refused)?;
    if format == Format::Json {
        return session.write_json(&timeouts);
    }
    let Timeouts { tcp, tcp_fin, udp, .. } = timeouts;
    session.out.write(&format!("Timeout (tcp tcpfin udp): {tcp} {tcp_fin} {udp}\n"));
    Ok(())
}

/// Lists the connection sync daemons. There are none, but whoever asks learns whether dpvs runs.
pub(super) fn daemons(session: &mut Session<'_>, format: Format) -> Result<(), Failure> {
    session.client()?;
    if format == Format::Json {
        let none: [(); 0] = [];
        return session.write_json(&none);
    }
    Ok(())
}

pub(super) fn connections(
    session: &mut Session<'_>,
    listing: ConnListing,
    format: Format,
) -> Result<(), Failure> {
    let pair = listing.sockpair;
    let params = ConnListParams {
        protocol: pair.map(|pair| pair.protocol),
        client: pair.map(|pair| pair.client.address.to_string()),
        // 0 is the sum over all workers.
        worker: listing.cpu.and_then(|cpu| cpu.checked_sub(1)).map(u32::from),
        ..ConnListParams::default()
    };
    session.client()?;
    let Session { names, out, client, .. } = session;
    let Some(client) = client else { return Ok(()) };
    let namer = Namer { names: *names, numeric: listing.numeric };
    let dpvs = format == Format::Dpvs;
    let mut found = false;
    let mut all = Vec::new();
    let title = rows::stock_title(listing.persistent);
    let outcome = client.each_connection(params, |conn| {
        if !rows::is_wanted(&conn, &listing, dpvs) {
            return;
        }
        match format {
            Format::Json => all.push(conn),
            Format::Dpvs => out.write(&rows::dpvs_row(&conn, &namer)),
            Format::Stock => {
                if !found {
                    out.write(&title);
                }
                out.write(&rows::stock_row(&conn, &namer));
            }
        }
        found = true;
    });
    outcome.map_err(refused)?;
    match format {
        Format::Json => {
            return session.write_json(&ConnPage { connections: all, next: None });
        }
        _ if found => {}
        _ if pair.is_some() => session.out.write("connection specified not found\n"),
        Format::Stock => session.out.write(&title),
        Format::Dpvs => {}
    }
    Ok(())
}
