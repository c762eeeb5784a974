// SPDX-License-Identifier: MIT OR Apache-2.0
//! A document of which people write the words and `make bench` the tables, between markers.

use anyhow::Context as _;
use std::fs;
use std::path::Path;

/// Puts tables in the places of their names.
///
/// # Errors
/// Those of the file, or a place that the document does not have.
pub(crate) fn update(path: &Path, tables: &[(&str, String)]) -> anyhow::Result<()> {
    let of = || path.display().to_string();
    let mut text = fs::read_to_string(path).with_context(of)?;
    for (name, table) in tables {
        text = replaced(&text, name, table).with_context(of)?;
    }
    fs::write(path, text).with_context(of)
}

fn replaced(text: &str, name: &str, table: &str) -> anyhow::Result<String> {
    let (open, close) = (format!("<!-- bench: {name} -->\n"), format!("<!-- end: {name} -->"));
    let missing = || format!("there is no place for {name}");
    let (before, rest) = text.split_once(&open).with_context(missing)?;
    let (_, after) = rest.split_once(&close).with_context(missing)?;
    Ok(format!("{before}{open}\n{}\n\n{close}{after}", table.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_around_a_table_stay() {
        let text = "# A\n<!-- bench: t -->\nold\n<!-- end: t -->\nwords\n";
        let new = replaced(text, "t", "| new |\n").unwrap();
        assert_eq!(new, "# A\n<!-- bench: t -->\n\n| new |\n\n<!-- end: t -->\nwords\n");
        assert_eq!(replaced(&new, "t", "| new |\n").unwrap(), new);
        assert!(replaced(text, "other", "").is_err());
    }
}
