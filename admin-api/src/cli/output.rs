//! What verbs print: tables for people, JSON for programs.

use serde_json::Value;
use std::io::Write;

/// Prints one line on stdout. A reader that left is no error.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints one line on stderr.
pub(crate) fn error_line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints a JSON value on one line.
pub(crate) fn json(value: &Value) {
    line(&value.to_string());
}

/// Prints a list, as `{"items":[…]}` or as a table of some of its keys.
pub(crate) fn list(items: &[Value], columns: &[&str], as_json: bool) {
    if as_json {
        json(&serde_json::json!({"items": items}));
    } else {
        line(&table(items, columns));
    }
}

/// Prints one object, as JSON or key by key.
pub(crate) fn object(value: &Value, as_json: bool) {
    if as_json {
        return json(value);
    }
    let Some(map) = value.as_object() else { return json(value) };
    let width = map.keys().map(String::len).max().unwrap_or(0);
    for (key, value) in map {
        line(&format!("{key:width$}  {}", cell(value)));
    }
}

fn table(items: &[Value], columns: &[&str]) -> String {
    let title = |column: &&str| column.rsplit('.').next().unwrap_or(column).replace('_', " ").to_uppercase();
    let head: Vec<String> = columns.iter().map(title).collect();
    let rows = items
        .iter()
        .map(|item| columns.iter().map(|column| cell(at(item, column))).collect());
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let row = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(row).collect::<Vec<_>>().join("\n")
}

/// A key, or keys with dots between them.
fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, key| value.get(key).unwrap_or(&Value::Null))
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => items.iter().map(cell).collect::<Vec<_>>().join(","),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tables_are_aligned_and_show_what_is_missing_as_a_dash() {
        let items = [
            json!({"name": "s1", "pid": 4711, "record": {"who": "admin"}}),
            json!({"name": "s10", "pid": null}),
        ];
        assert_eq!(
            table(&items, &["name", "pid", "record.who"]),
            "NAME  PID   WHO\ns1    4711  admin\ns10   -     -"
        );
    }
}
