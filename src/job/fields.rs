//! `[fields]`: where the values of each slot come from.
//!
//! Input: the table, the kernel's declaration, the grid. Output: one source for each slot, in slot order, or a mistake
//! that names the key. Files are opened here, their values are read later. Invariant: a slot that the kernel computes,
//! or that its place decides, cannot be given, and one that the kernel cannot do without is never left empty; a number
//! that the job gives is finite in the job's precision and one of those that the field allows.

use std::collections::BTreeMap;
use std::path::Path;

use ringfort_kernels::{Allowed, Declaration, Field, Given, Role, Value};

use super::document::Document;
use super::error::{JobError, Mistake};
use super::formula::Formula;
use super::input::{Input, InputError};
use super::stored::Stored;
use super::{Precision, Source, schema};
use crate::grid::{Boundary, Grid, Units};

/// What reading fields needs.
pub(super) struct Reader<'a> {
    pub(super) document: &'a Document,
    pub(super) declaration: &'a Declaration,
    pub(super) grid: &'a Grid,
    /// Where relative files begin.
    pub(super) folder: &'a Path,
    pub(super) precision: Precision,
    pub(super) parameters: &'a BTreeMap<String, Value>,
}

/// How the kernel meets a slot with this source.
pub(super) fn given(source: &Option<Source>) -> Given {
    match source {
        None => Given::Absent,
        Some(Source::Number(value)) => Given::Number(*value),
        Some(_) => Given::Varying,
    }
}

fn may_be_given(field: &Field) -> bool {
    matches!(field.role, Role::Component | Role::Coefficient | Role::Start) && !field.of_place()
}

impl Reader<'_> {
    /// Source of every slot, defaults filled in.
    pub(super) fn sources(&self, given: &BTreeMap<String, schema::Field>) -> Result<Vec<Option<Source>>, JobError> {
        for name in given.keys() {
            self.check_name(name)?;
        }
        let fields = &self.declaration.fields;
        let starts = fields.iter().any(|field| field.role == Role::Start && given.contains_key(field.name));
        let source = |field: &Field| match given.get(field.name) {
            _ if field.of_place() => Ok(self.of_place(field)),
            Some(value) if may_be_given(field) => self.source(field, value).map(Some),
            _ => self.absent(field, starts),
        };
        fields.iter().map(source).collect()
    }

    /// Source of a field that its place decides.
    fn of_place(&self, field: &Field) -> Option<Source> {
        let latitude = field.of_latitude.filter(|_| self.grid.units == Units::Degrees).map(Source::Latitude);
        let group = field.of_sides.and_then(|group| self.parameters.get(group));
        let depth = matches!(group, Some(Value::Group(Some(_)))).then_some(Source::Depth);
        let walled = self.grid.boundary.iter().flatten().any(|&side| side == Boundary::Wall);
        let walls = if walled { Source::Walls } else { Source::Number(0.0) };
        latitude.or(depth).or(field.of_walls.then_some(walls))
    }

    fn check_name(&self, name: &str) -> Result<(), JobError> {
        let fields = &self.declaration.fields;
        if fields.iter().any(|field| field.name == name && may_be_given(field)) {
            return Ok(());
        }
        let known = fields.iter().filter(|field| may_be_given(field)).map(|field| field.name.to_owned());
        let span = self.document.key(&["fields", name]);
        let table = format!("[fields] of {}", self.declaration.name);
        if fields.iter().any(|field| field.name == name) {
            let problem = format!("the kernel {} computes it; remove it from [fields]", self.declaration.name);
            return Err(self.document.located(span, Mistake::Value { key: format!("fields.{name}"), problem }));
        }
        Err(self.document.unknown_key(span, name, table, known.collect()))
    }

    /// Source of a field that the job does not give; `starts` if it gives fields to start from instead.
    fn absent(&self, field: &Field, starts: bool) -> Result<Option<Source>, JobError> {
        let needed = match field.role {
            Role::Component => !starts,
            Role::Coefficient => true,
            Role::Start => starts,
            Role::Prepared | Role::Scratch | Role::Derived => false,
        };
        if !needed {
            return Ok(None);
        }
        if let Some(default) = field.default {
            return Ok(Some(Source::Number(default)));
        }
        if field.optional || field.role == Role::Start {
            return Ok(None);
        }
        let remedy = format!(
            "the kernel {} needs it: {} [{}]; give a number, a formula or a file in [fields]",
            self.declaration.name, field.about, field.unit,
        );
        Err(self.document.missing(&["fields", field.name], remedy))
    }

    fn source(&self, field: &Field, given: &schema::Field) -> Result<Source, JobError> {
        let path = ["fields", field.name];
        match given {
            schema::Field::Number(value) => {
                self.check_number(field, *value).map_err(|problem| self.document.wrong(&path, problem))?;
                Ok(Source::Number(*value))
            }
            schema::Field::Table(table) => match (&table.formula, &table.file, &table.checkpoint) {
                (Some(formula), None, None) => self.formula(field, table, formula),
                (None, Some(file), None) => self.file(field, table, file),
                (None, None, Some(folder)) => self.checkpoint(field, table, folder),
                (None, None, None) => {
                    Err(self.document.wrong(&path, "neither a formula nor a file nor a checkpoint is given; give one"))
                }
                (formula, file, _) => {
                    let (first, second) = match (formula, file) {
                        (Some(_), Some(_)) => ("formula", "file"),
                        (Some(_), None) => ("formula", "checkpoint"),
                        (None, _) => ("file", "checkpoint"),
                    };
                    let problem = format!("both a {first} and a {second} are given; remove one of them");
                    Err(self.document.wrong(&path, problem))
                }
            },
        }
    }

    /// Refuses keys that do not belong to the kind of source that is given.
    fn only(&self, field: &Field, kind: &str, foreign: &[(&str, bool, &str)]) -> Result<(), JobError> {
        match foreign.iter().find(|(_, given, _)| *given) {
            None => Ok(()),
            Some((key, _, owner)) => {
                let problem = format!("it belongs to {owner}, not to a {kind}; remove it");
                Err(self.document.wrong(&["fields", field.name, key], problem))
            }
        }
    }

    fn check_number(&self, field: &Field, value: f64) -> Result<(), String> {
        #[allow(clippy::cast_possible_truncation, reason = "asks whether the value fits")]
        let fits = match self.precision {
            Precision::F32 => (value as f32).is_finite(),
            Precision::F64 => value.is_finite(),
        };
        if !fits {
            return Err(format!("{value} is not a finite number in the job's precision"));
        }
        if !field.allowed.holds(value) {
            return Err(match field.allowed {
                Allowed::AtLeast(least) => format!("{value} is below the least value that makes sense, {least}"),
                Allowed::OneOf(_) => format!("{value} is none of them: {}", field.allowed),
            });
        }
        Ok(())
    }

    fn formula(&self, field: &Field, table: &schema::FieldTable, text: &str) -> Result<Source, JobError> {
        let path = ["fields", field.name, "formula"];
        self.only(
            field,
            "formula",
            &[
                ("start", table.start.is_some(), "a file"),
                ("values", table.values.is_some(), "a file"),
                ("field", table.field.is_some(), "a checkpoint"),
            ],
        )?;
        let first = self.grid.first();
        let half = std::array::from_fn(|axis| axis >= first && field.half[axis - first]);
        let parsed = Formula::parse(text, self.grid, field.allowed);
        let parsed = parsed.map_err(|error| self.document.wrong_formula(&path, text, error))?;
        Ok(Source::Formula(parsed.at(half)))
    }

    fn file(&self, field: &Field, table: &schema::FieldTable, file: &str) -> Result<Source, JobError> {
        let path = |key| ["fields", field.name, key];
        self.only(field, "file", &[("field", table.field.is_some(), "a checkpoint")])?;
        for (at, value) in table.values.iter().flatten().enumerate() {
            let place = ["fields", field.name, "values", &at.to_string()];
            self.check_number(field, *value).map_err(|problem| self.document.wrong(&place, problem))?;
        }
        let zarr = Path::new(file).extension().is_some_and(|extension| extension == "zarr");
        if zarr || self.folder.join(file).join("zarr.json").is_file() {
            return Err(self.document.later(&path("file"), format!("{file}: Zarr arrays")));
        }
        let opened = Input::open(&self.folder.join(file), field.allowed)
            .and_then(|input| input.with_values(table.values.clone()))
            .and_then(|input| input.with_box(table.start.as_deref(), self.grid));
        opened.map(Source::File).map_err(|error| {
            let key = match error {
                InputError::StartLength { .. } | InputError::Box { .. } => "start",
                InputError::NoLabels { .. } => "values",
                _ => "file",
            };
            self.document.located(self.document.value(&path(key)), Mistake::Input { field: field.name.into(), error })
        })
    }

    fn checkpoint(&self, field: &Field, table: &schema::FieldTable, folder: &str) -> Result<Source, JobError> {
        let path = |key| ["fields", field.name, key];
        self.only(field, "checkpoint", &[("values", table.values.is_some(), "a file")])?;
        let component = table.field.as_deref().unwrap_or(field.name);
        let opened = Stored::open(&self.folder.join(folder), component, field.allowed)
            .and_then(|stored| stored.with_box(table.start.as_deref(), self.grid));
        opened.map(|stored| Source::Checkpoint(Box::new(stored))).map_err(|error| {
            let key = match error {
                InputError::StartLength { .. } | InputError::Box { .. } => "start",
                InputError::NoComponent { .. } if table.field.is_some() => "field",
                _ => "checkpoint",
            };
            self.document.located(self.document.value(&path(key)), Mistake::Input { field: field.name.into(), error })
        })
    }
}
