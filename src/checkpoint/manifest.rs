//! The manifest: what makes a folder a checkpoint. Bytes: magic, version, length, CRC-32C of all else, then bincode.
//!
//! Invariant: the same state gives the same bytes, whoever writes them; decoded ones obey all bounds of [`Meta`], and
//! their files are exactly those that the grid and cuts call for, in order.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::codec;
use super::error::{CheckpointError, Damage};
use super::meta::{FieldMeta, Fill, Meta, MetaError, Parent, Precision, RunId, checked_cuts};
use super::store::{Store, read_file};
use super::{MANIFEST, shown};
use crate::grid::{AXES, Boundary, Extents, Grid, Units};

const MAGIC: [u8; 8] = *b"RINGFORT";
const VERSION: u32 = 1;
/// Bytes before the bincode: magic, version, length, checksum.
const HEADER: usize = 24;

/// One file of a checkpoint: what a rank reports and the manifest lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Name within the checkpoint's folder, with `/` between folders.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// CRC-32C of its bytes; of a chunk without its last four, which hold this same number. (With them the CRC of
    /// every chunk would be one constant, and chunks that trade places would go unseen.)
    pub crc: u32,
}

impl FileRecord {
    /// Record of the file `name` with content `bytes`.
    #[must_use]
    pub fn of(name: String, bytes: &[u8]) -> Self {
        let mut record = Self { name, bytes: bytes.len() as u64, crc: 0 };
        let values = if record.is_chunk() { bytes.len().saturating_sub(4) } else { bytes.len() };
        record.crc = crc32c::crc32c(&bytes[..values]);
        record
    }

    /// True if `bytes` are the file's content, to the last one.
    #[must_use]
    pub fn fits(&self, bytes: &[u8]) -> bool {
        let ends = !self.is_chunk() || bytes.ends_with(&self.crc.to_le_bytes());
        ends && Self::of(self.name.clone(), bytes) == *self
    }

    /// True for array values, which end in their own checksum.
    pub(super) fn is_chunk(&self) -> bool {
        self.name.contains("/c/")
    }
}

/// A decoded manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The state's description; `job` is empty, since that text lies in the group's `zarr.json`.
    pub meta: Meta,
    /// All other files, in the order of the format.
    pub files: Vec<FileRecord>,
}

impl Manifest {
    /// Bytes of the manifest.
    ///
    /// # Errors
    ///
    /// [`codec::CodecError`] if they would be too many.
    pub fn encode(&self) -> Result<Vec<u8>, codec::CodecError> {
        let body = codec::encode(&Wire::new(self))?;
        let mut bytes = Vec::with_capacity(HEADER + body.len());
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((body.len() as u64).to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), &body);
        bytes.extend(crc.to_le_bytes());
        bytes.extend(body);
        Ok(bytes)
    }

    /// Manifest of `bytes`, which may be any.
    ///
    /// # Errors
    ///
    /// [`Damage`] if they are not exactly one manifest that obeys the format's bounds.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        if !bytes.starts_with(&MAGIC) {
            return Err(Damage::Magic);
        }
        let length = |expected| Damage::Length { expected, found: bytes.len() as u64 };
        let Some((header, body)) = bytes.split_at_checked(HEADER) else { return Err(length(HEADER as u64)) };
        let expected = u32_of(&header[20..24]);
        let found = crc32c::crc32c_append(crc32c::crc32c(&header[..20]), body);
        let stated = u64::from(u32_of(&header[12..16])) | u64::from(u32_of(&header[16..20])) << 32;
        if stated != body.len() as u64 {
            return Err(length(stated.saturating_add(HEADER as u64)));
        }
        if found != expected {
            return Err(Damage::Checksum { expected, found });
        }
        match u32_of(&header[8..12]) {
            VERSION => codec::decode::<Wire>(body).map_err(|_| Damage::Undecodable)?.check(),
            other => Err(Damage::Version(other)),
        }
    }

    /// Manifest of the checkpoint in `folder`. Reads nothing else.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Partial`] if there is none, else as [`Manifest::decode`], or the store's error.
    pub fn read(store: &dyn Store, folder: &Path) -> Result<Self, CheckpointError> {
        let name = shown(folder, MANIFEST);
        let most = (codec::LIMIT + HEADER) as u64;
        match read_file(store, &folder.join(MANIFEST), false, most) {
            Ok(Some(bytes)) => Self::decode(&bytes).map_err(|damage| CheckpointError::Damaged { name, damage }),
            Ok(None) => Err(CheckpointError::Damaged { name, damage: Damage::TooLarge(most) }),
            Err(error) => match CheckpointError::read(name, error) {
                CheckpointError::Damaged { .. } if store.metadata(folder).is_ok() => {
                    Err(CheckpointError::Partial { name: shown(folder, "") })
                }
                other => Err(other),
            },
        }
    }

    /// Bytes of all files that it lists.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).fold(0, u64::saturating_add)
    }

    /// Record of the chunk of `part` of `component`.
    ///
    /// # Panics
    ///
    /// If there is no such part or component.
    #[must_use]
    pub fn chunk(&self, component: usize, part: usize) -> &FileRecord {
        &self.files[self.meta.files_before_chunks() + component * self.meta.cuts.count() + part]
    }
}

/// Number of the four little-endian `bytes`.
fn u32_of(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

/// The manifest as stored. Its order of fields is the format.
#[derive(Serialize, Deserialize)]
struct Wire {
    step: u64,
    time: f64,
    dt: f64,
    parts: [u64; AXES],
    precision: u8,
    axes: u8,
    points: [u64; AXES],
    spacing: [f64; AXES],
    origin: [f64; AXES],
    units: u8,
    boundary: [[u8; 2]; AXES],
    components: Vec<WireField>,
    run: [u8; 16],
    fingerprint: [u8; 32],
    parent: Option<([u8; 16], u64)>,
    files: Vec<FileRecord>,
}

#[derive(Serialize, Deserialize)]
struct WireField {
    name: String,
    unit: String,
    about: String,
    standard_name: Option<String>,
    half: [bool; AXES],
    fill: u8,
}

const BOUNDARIES: [Boundary; 4] = [Boundary::Periodic, Boundary::Wall, Boundary::Fixed, Boundary::Open];
const UNITS: [Units; 2] = [Units::Metres, Units::Degrees];
const PRECISIONS: [Precision; 2] = [Precision::Float32, Precision::Float64];
const FILLS: [Fill; 2] = [Fill::Nan, Fill::Zero];

/// Place of `value` among `choices`.
#[allow(clippy::cast_possible_truncation, reason = "lists of two or four")]
fn number<T: PartialEq>(choices: &[T], value: &T) -> u8 {
    choices.iter().position(|choice| choice == value).expect("every choice has a number") as u8
}

/// Choice with `number` among `choices`.
fn choice<T: Copy>(what: &'static str, choices: &[T], number: u8) -> Result<T, MetaError> {
    choices.get(usize::from(number)).copied().ok_or(MetaError::Choice { what, number: number.into() })
}

fn narrow(values: [u64; AXES], error: MetaError) -> Result<Extents, MetaError> {
    let mut extents = [0; AXES];
    for (extent, value) in extents.iter_mut().zip(values) {
        *extent = usize::try_from(value).map_err(|_| error.clone())?;
    }
    Ok(extents)
}

impl Wire {
    #[allow(clippy::cast_possible_truncation, reason = "a grid has at most four axes")]
    fn new(manifest: &Manifest) -> Self {
        let meta = &manifest.meta;
        let grid = &meta.grid;
        Self {
            step: meta.step,
            time: meta.time,
            dt: meta.dt,
            parts: meta.cuts.parts().map(|count| count as u64),
            precision: number(&PRECISIONS, &meta.precision),
            axes: grid.axes as u8,
            points: grid.points.map(|extent| extent as u64),
            spacing: grid.spacing,
            origin: grid.origin,
            units: number(&UNITS, &grid.units),
            boundary: grid.boundary.map(|sides| sides.map(|side| number(&BOUNDARIES, &side))),
            components: meta.components.iter().map(WireField::new).collect(),
            run: meta.run.0,
            fingerprint: meta.fingerprint,
            parent: meta.parent.map(|parent| (parent.run.0, parent.step)),
            files: manifest.files.clone(),
        }
    }

    fn check(self) -> Result<Manifest, Damage> {
        let files = self.files;
        let mut boundary = [[Boundary::Periodic; 2]; AXES];
        for (sides, numbers) in boundary.iter_mut().zip(self.boundary) {
            for (side, number) in sides.iter_mut().zip(numbers) {
                *side = choice("boundary", &BOUNDARIES, number)?;
            }
        }
        let axes = usize::from(self.axes);
        if !(1..=AXES).contains(&axes) {
            return Err(MetaError::Axes { axes }.into());
        }
        let grid = Grid {
            axes,
            points: narrow(self.points, MetaError::Points)?,
            spacing: self.spacing,
            origin: self.origin,
            units: choice("units", &UNITS, self.units)?,
            boundary,
        };
        let cuts = checked_cuts(&grid, narrow(self.parts, MetaError::Cuts)?)?;
        let meta = Meta {
            run: RunId(self.run),
            parent: self.parent.map(|(run, step)| Parent { run: RunId(run), step }),
            step: self.step,
            time: self.time,
            dt: self.dt,
            precision: choice("precision", &PRECISIONS, self.precision)?,
            grid,
            cuts,
            components: self.components.into_iter().map(WireField::check).collect::<Result<_, _>>()?,
            fingerprint: self.fingerprint,
            job: String::new(),
        };
        meta.check()?;
        check_files(&meta, &files)?;
        Ok(Manifest { meta, files })
    }
}

impl WireField {
    fn new(field: &FieldMeta) -> Self {
        Self {
            name: field.name.clone(),
            unit: field.unit.clone(),
            about: field.about.clone(),
            standard_name: field.standard_name.clone(),
            half: field.half,
            fill: number(&FILLS, &field.fill),
        }
    }

    fn check(self) -> Result<FieldMeta, MetaError> {
        Ok(FieldMeta {
            name: self.name,
            unit: self.unit,
            about: self.about,
            standard_name: self.standard_name,
            half: self.half,
            fill: choice("fill", &FILLS, self.fill)?,
        })
    }
}

/// Checks that `files` are those that `meta` calls for, with the lengths that follow from it.
pub(super) fn check_files(meta: &Meta, files: &[FileRecord]) -> Result<(), Damage> {
    let none = || ("nothing".to_owned(), None);
    let mut expected = meta.files();
    let mut found = files.iter();
    loop {
        match (expected.next(), found.next()) {
            (None, None) => return Ok(()),
            (Some((name, bytes)), Some(file)) if file.name == name => match bytes {
                Some(expected) if expected != file.bytes => {
                    return Err(Damage::Length { expected, found: file.bytes });
                }
                _ => {}
            },
            (expected, file) => {
                let found = file.map_or("nothing".to_owned(), |file| file.name.chars().take(200).collect());
                return Err(Damage::Listing { expected: expected.unwrap_or_else(none).0, found });
            }
        }
    }
}
