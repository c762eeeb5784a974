// SPDX-License-Identifier: MIT OR Apache-2.0
//! The manual pages and the completions of shells, made from the tables that the programs read their
//! command lines with, and from the configuration file that is shipped.
//!
//! ```text
//! ipvsadm::options -> ipvsadm::command -> \
//! dpip::OPTIONS ...-> dpip::command ----->  pages, completions
//! dpvs::command ------------------------> /
//! packaging/dpvs.toml -> config ---------> page
//! ```
//!
//! Only what a table cannot know is written here: what an option is for. An option that is not
//! described fails the build of the pages.
#![forbid(unsafe_code)]

mod config;
mod daemon;
mod dpip_pages;
mod ipvsadm_options;
mod ipvsadm_pages;
mod page;

pub use page::{Page, Undescribed};

use clap::Command;
use clap_complete::{Shell, generate};
use std::fs;
use std::io;
use std::path::Path;

/// Why nothing was written.
#[derive(Debug)]
pub enum Fault {
    /// A table has something that is not described here.
    Undescribed(Undescribed),
    /// A file cannot be written.
    Io(io::Error),
}

impl From<Undescribed> for Fault {
    fn from(fault: Undescribed) -> Self {
        Fault::Undescribed(fault)
    }
}

impl From<io::Error> for Fault {
    fn from(fault: io::Error) -> Self {
        Fault::Io(fault)
    }
}

/// Returns all pages.
///
/// # Errors
/// An option, an object or a key of the configuration that nobody has described.
pub fn pages() -> Result<Vec<Page>, Undescribed> {
    let mut pages = ipvsadm_pages::pages()?;
    pages.push(dpip_pages::page()?);
    pages.push(daemon::page()?);
    pages.push(config::page()?);
    Ok(pages)
}

/// Returns the command lines of all programs, as shells complete them.
///
/// # Errors
/// As [`pages`].
pub fn commands() -> Result<Vec<Command>, Undescribed> {
    Ok(vec![ipvsadm_options::command()?, dpip_pages::command()?, dpvs::command()])
}

/// Writes pages to `man/` and completions to `completions/`.
///
/// # Errors
/// As [`pages`], and files that cannot be written.
pub fn write(directory: &Path) -> Result<(), Fault> {
    let man = directory.join("man");
    fs::create_dir_all(&man)?;
    for page in pages()? {
        fs::write(man.join(format!("{}.{}", page.name, page.section)), &page.text)?;
    }
    let completions = directory.join("completions");
    fs::create_dir_all(&completions)?;
    for mut command in commands()? {
        let name = command.get_name().to_owned();
        for (shell, file) in [
            (Shell::Bash, format!("{name}.bash")),
            (Shell::Zsh, format!("_{name}")),
            (Shell::Fish, format!("{name}.fish")),
        ] {
            let mut text = Vec::new();
            generate(shell, &mut command, &name, &mut text);
            fs::write(completions.join(file), text)?;
        }
    }
    Ok(())
}
