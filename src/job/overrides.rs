//! `--set key=value`: changes to the job's text.
//!
//! Input: the job's TOML and one `key=value`; a value that is no TOML is a word. Output: the TOML with it. Invariant:
//! what is set is checked afterwards like any text, so an override can do no more than an edit of the file. A table
//! that enters the fingerprint must count as physics here: those overrides are kept with the run, for restarts.

use super::error::JobError;

/// True if the override `given` changes what the fields' values depend on.
pub(super) fn enters_physics(given: &str) -> bool {
    let key = given.split('=').next().unwrap_or("").trim();
    let key = toml_edit::Key::parse(key).unwrap_or_default();
    match key.iter().map(toml_edit::Key::get).collect::<Vec<_>>().as_slice() {
        ["grid" | "kernel" | "fields" | "source" | "inflow", ..] | ["time"] => true,
        ["time", rest, ..] => *rest != "steps",
        _ => false,
    }
}

/// Sets one `key=value` in `tree`.
pub(super) fn apply(tree: &mut toml_edit::DocumentMut, given: &str) -> Result<(), JobError> {
    let refuse = |problem: String| JobError::Set { given: given.to_owned(), problem };
    let (key, text) = given.split_once('=').ok_or_else(|| refuse("write it as key=value".to_owned()))?;
    let keys = toml_edit::Key::parse(key.trim()).map_err(|_| refuse(format!("`{key}` is no key; write table.key")))?;
    let text = text.trim();
    let value = text.parse::<toml_edit::Value>().unwrap_or_else(|_| text.into());
    let Some((last, tables)) = keys.split_last() else { return Err(refuse("the key is empty".to_owned())) };
    let mut item = tree.as_item_mut();
    for name in tables {
        item = below(item, name.get()).ok_or_else(|| refuse(format!("`{}` is no table of the job", name.get())))?;
    }
    match item {
        toml_edit::Item::Value(toml_edit::Value::Array(array)) => {
            let at = last.get().parse::<usize>().ok().filter(|at| *at < array.len());
            let at = at.ok_or_else(|| refuse(format!("`{}` is no position in the list", last.get())))?;
            array.replace(at, value);
        }
        other => {
            let table = other.as_table_like_mut();
            let table = table.ok_or_else(|| refuse(format!("what holds `{}` is no table", last.get())))?;
            table.insert(last.get(), toml_edit::value(value));
        }
    }
    Ok(())
}

/// Entry `name` of a table (made if it is not there) or of a list of tables.
fn below<'a>(item: &'a mut toml_edit::Item, name: &str) -> Option<&'a mut toml_edit::Item> {
    if item.is_array_of_tables() || item.is_array() {
        let at = name.parse::<usize>().ok()?;
        return item.get_mut(at);
    }
    let inline = item.is_inline_table();
    let table = item.as_table_like_mut()?;
    if table.get(name).is_none() {
        let fresh = if inline { toml_edit::value(toml_edit::InlineTable::new()) } else { toml_edit::table() };
        table.insert(name, fresh);
    }
    table.get_mut(name)
}
