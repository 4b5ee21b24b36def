//! `ringfort kernels`: what this build can compute.
//!
//! Input: a kernel's name or none, a number of axes. Output: a list, or all that one kernel declares, as words or
//! JSON. Invariant: all of it comes from the declarations in the program's library, so that a new kernel is shown
//! without a word here; internal fields and those that follow from the place alone are left out.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use ringfort_kernels::{Allowed, Declaration, Field, Parameter, ParameterKind, Role};
use serde_json::{Value, json};

use super::checkpoint::print_json;
use crate::cli::library;
use crate::exit::{Exit, Failure};
use crate::job::Catalog;

/// List the kernels, or show one with its equation, parameters and fields.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ringfort kernels\n  ringfort kernels heat --axes 3\n  ringfort kernels --json")]
pub struct Args {
    /// Kernel to show; without it all are listed.
    name: Option<String>,
    /// Show its fields on a grid of so many axes [default: the most that it runs on].
    #[arg(long, value_name = "N")]
    axes: Option<usize>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Lists the kernels or shows one. With `--json`: `name`, `title`, `equation`, `scheme`, `bound`, `source`, `axes` (fewest and
/// most), `shown_for`, `degrees` (true: takes them), `default_dt`; `parameters` (`name`, `unit`, `about`, `values` in words; keys of
/// a table as `table.key`) and `fields` (the same, and `role`); without a name a list of these.
///
/// # Errors
///
/// A usage error if there is no such kernel, or it does not run on so many axes.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let catalog: &dyn Catalog = library();
    let Some(name) = &args.name else {
        if !args.json {
            return print(&list(catalog));
        }
        let all = catalog.names().into_iter().filter_map(|name| {
            let (_, most) = catalog.declare(name, 1)?.axes;
            Some(as_json(&catalog.declare(name, most)?, most))
        });
        print_json(&Value::Array(all.collect()));
        return Ok(Exit::Done);
    };
    let unknown = || Failure::usage(format!("no kernel is called `{name}`; known are {}", catalog.names().join(", ")));
    let (fewest, most) = catalog.declare(name, 1).ok_or_else(unknown)?.axes;
    let axes = args.axes.unwrap_or(most);
    if !(fewest..=most).contains(&axes) {
        return Err(Failure::usage(format!("{name} runs on {fewest} to {most} axes, not {axes}; change --axes")));
    }
    let declaration = catalog.declare(name, axes).ok_or_else(unknown)?;
    if args.json {
        print_json(&as_json(&declaration, axes));
        return Ok(Exit::Done);
    }
    print(&show(&declaration, axes))
}

/// Writes `text` to standard output; a reader that has gone is no error.
pub(super) fn print(text: &str) -> Result<Exit, Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::usage(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(Exit::Done),
    }
}

fn list(catalog: &dyn Catalog) -> String {
    let names = catalog.names();
    let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for name in names {
        let title = catalog.declare(name, 1).map_or("", |declaration| declaration.title);
        let _ = writeln!(text, "{name:width$}  {title}");
    }
    text
}

/// What `declaration` says, on a grid of `axes` axes.
fn as_json(declaration: &Declaration, axes: usize) -> Value {
    let Declaration { name, title, equation, scheme, bound, source, axes: (fewest, most), .. } = declaration;
    let parameters = declaration.parameters.iter().flat_map(with_entries);
    let parameters = parameters.map(
        |[name, unit, values, about]| json!({ "name": name, "unit": bare(&unit), "values": values, "about": about }),
    );
    let fields = declaration.fields.iter().filter(|of| shown(of)).map(field).map(|[name, unit, kind, about]| {
        let (role, values) = kind.split_once(", ").unwrap_or((&kind, ""));
        json!({ "name": name, "unit": bare(&unit), "role": role, "values": values, "about": about })
    });
    json!({
        "name": name, "title": title, "equation": equation, "scheme": scheme, "bound": bound, "source": source,
        "axes": [fewest, most], "shown_for": axes, "degrees": declaration.degrees, "default_dt": declaration.default_dt,
        "parameters": parameters.collect::<Vec<_>>(), "fields": fields.collect::<Vec<_>>(),
    })
}

/// A unit without its brackets.
fn bare(unit: &str) -> &str {
    unit.trim_start_matches('[').trim_end_matches(']')
}

/// All that `declaration` says, on a grid of `axes` axes.
fn show(declaration: &Declaration, axes: usize) -> String {
    let Declaration { name, title, equation, scheme, bound, source, axes: (fewest, most), .. } = declaration;
    let mut text = format!("{name}: {title}\n\n");
    let said = [("equation", equation), ("scheme", scheme), ("bound", bound), ("source", source)];
    for (key, value) in said.into_iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "{key:9} {value}");
    }
    let units = if declaration.degrees { "metres or degrees" } else { "metres" };
    let _ = writeln!(text, "{:9} {fewest} to {most}, in {units}; shown for {axes}", "axes");
    if let Some(dt) = declaration.default_dt {
        let _ = writeln!(text, "{:9} {dt} where the job gives none", "dt");
    }
    text.push_str("\nparameters, in [kernel]:\n");
    let parameters: Vec<_> = declaration.parameters.iter().flat_map(with_entries).collect();
    text.push_str(&table(&parameters));
    text.push_str("\nfields:\n");
    let fields: Vec<_> = declaration.fields.iter().filter(|field| shown(field)).map(field).collect();
    text.push_str(&table(&fields));
    text
}

/// The row of `given`, and those of the keys of a group.
fn with_entries(given: &Parameter) -> Vec<[String; 4]> {
    let entries = if let ParameterKind::Group { entries } = &given.kind { entries.as_slice() } else { &[] };
    let below = entries
        .iter()
        .map(parameter)
        .map(|[key, unit, kind, about]| [format!("{}.{key}", given.name), unit, kind, about]);
    std::iter::once(parameter(given)).chain(below).collect()
}

/// Name, unit, default and range, meaning.
fn parameter(parameter: &Parameter) -> [String; 4] {
    let kind = match &parameter.kind {
        ParameterKind::Number { default, least, most } => {
            let default = default.map_or("required".to_owned(), |value| format!("default {value}"));
            match (least.is_finite(), most.is_finite()) {
                (true, true) => format!("{default}, {least} to {most}"),
                (true, false) => format!("{default}, at least {least}"),
                (false, true) => format!("{default}, at most {most}"),
                (false, false) => default,
            }
        }
        ParameterKind::Choice { default, choices } => {
            format!("default {default}, one of {}", joined(choices))
        }
        ParameterKind::Group { entries } => {
            let keys: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
            format!("table of {}; left out: none", keys.join(", "))
        }
        ParameterKind::Word { default, choices } => format!("default \"{default}\", one of {}", choices.join(", ")),
        ParameterKind::List { default, len } => format!("default {default:?}, {len} numbers"),
        ParameterKind::Text { default, form, .. } => format!("default \"{default}\", {form}"),
    };
    [parameter.name.to_owned(), format!("[{}]", parameter.unit), kind, parameter.about.to_owned()]
}

/// `values` in a row.
fn joined(values: &[f64]) -> String {
    values.iter().map(f64::to_string).collect::<Vec<_>>().join(", ")
}

/// Name, unit, role and default, meaning.
fn field(field: &Field) -> [String; 4] {
    let (role, given) = match field.role {
        Role::Component => ("component", true),
        Role::Coefficient => ("coefficient", true),
        Role::Start => ("start", true),
        Role::Derived => ("derived", false),
        Role::Prepared | Role::Scratch => ("internal", false),
    };
    let default = match (field.default, given) {
        (Some(value), true) => format!(", default {value}"),
        (None, true) if field.optional || field.role == Role::Start => ", optional".to_owned(),
        (None, true) => ", required".to_owned(),
        (_, false) => String::new(),
    };
    let allowed = match field.allowed {
        Allowed::AtLeast(least) if least.is_finite() => format!(", at least {least}"),
        Allowed::AtLeast(_) => String::new(),
        Allowed::OneOf(values) => format!(", one of {}", joined(values)),
    };
    let kind = format!("{role}{default}{allowed}");
    [field.name.to_owned(), format!("[{}]", field.unit), kind, field.about.to_owned()]
}

fn shown(field: &Field) -> bool {
    !matches!(field.role, Role::Prepared | Role::Scratch) && !field.of_place()
}

/// Rows in columns, or `none`.
fn table(rows: &[[String; 4]]) -> String {
    if rows.is_empty() {
        return "  none\n".to_owned();
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (first, second, third) = (width(0), width(1), width(2));
    let lines = rows
        .iter()
        .map(|[name, unit, kind, about]| format!("  {name:first$}  {unit:second$}  {kind:third$}  {about}\n"));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advance::library::SHIPPED;

    #[test]
    fn every_kernel_can_be_shown() {
        for name in SHIPPED.names() {
            assert!(list(&SHIPPED).contains(name));
            let (fewest, most) = SHIPPED.declare(name, 1).unwrap().axes;
            for axes in fewest..=most {
                let declaration = SHIPPED.declare(name, axes).unwrap();
                let text = show(&declaration, axes);
                for field in declaration.fields.iter().filter(|field| shown(field)) {
                    assert!(text.contains(field.about), "{text}");
                }
                assert!(text.contains(declaration.equation) && text.contains(declaration.bound), "{text}");
                let json = as_json(&declaration, axes);
                let fields = json["fields"].as_array().unwrap();
                assert_eq!(fields.len(), declaration.fields.iter().filter(|field| shown(field)).count());
                for field in fields {
                    let (name, role) = (field["name"].as_str().unwrap(), field["role"].as_str().unwrap());
                    let of = &declaration.fields[declaration.slot(name).unwrap()];
                    assert_eq!(field["unit"], of.unit, "{json}");
                    assert!(["component", "coefficient", "start", "derived"].contains(&role), "{json}");
                }
            }
        }
    }
}
