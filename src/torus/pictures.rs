//! Images of all ranks together: each gives its part of the plane, rank 0 draws.
//!
//! Input: all ranks' sessions at one step. Output: a PNG file, the same for all cuts. Invariant: an image is one
//! gather in which every rank takes part, also one that has no cell of the plane. Only rank 0 touches the disk; what
//! goes wrong there is told and never ends the run.

use std::io;
use std::path::{Path, PathBuf};

use super::peers::{PeerError, Peers, gather};
use super::session::Session;
use crate::advance::library::Precise;
use crate::grid::Region;
use crate::job::Job;
use crate::observe::image::{self, About, ImageError, Partial};

/// Why an image was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// It could not be drawn.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// It could not be stored.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Draws image number `number` of the job into the run's folder. On ranks other than 0 returns `None`; all ranks call it.
///
/// # Errors
///
/// [`PeerError`] if a rank is late or lost. What the disk refuses is no error of the run: it is returned inside.
pub fn draw<T: Precise, P: Peers + ?Sized>(
    job: &Job,
    session: &Session<T>,
    (number, step, time): (usize, u64, f64),
    dir: &Path,
    peers: &mut P,
) -> Result<Option<Result<PathBuf, PictureError>>, PeerError> {
    let wanted = &job.images[number];
    let field = &job.declaration.fields[wanted.slot];
    let block = session.block();
    let mut buffer = Vec::new();
    let mut read =
        |slot: usize, region: &Region, out: &mut [f64]| session.show(&job.declaration, slot, region, &mut buffer, out);
    let partial = image::partial(wanted, &job.grid, &block, &mut read);
    let bytes = partial.map(|partial| partial.to_bytes()).unwrap_or_default();
    let Some(all) = gather(peers, bytes)? else { return Ok(None) };
    let about = About { job: &job.name, field: field.about, unit: field.unit, time_unit: "s" };
    let finish = || -> Result<PathBuf, PictureError> {
        let partials: Vec<Partial> = all
            .iter()
            .filter(|bytes| !bytes.is_empty())
            .map(|bytes| Partial::from_bytes(bytes))
            .collect::<Result<_, _>>()?;
        let png = image::finish(wanted, &job.grid, (step, time), &partials, &about)?;
        let path = dir.join(image::file_name(wanted, &job.grid, step));
        image::store(&path, &png).map_err(|source| PictureError::Io { path: path.clone(), source })?;
        Ok(path)
    };
    Ok(Some(finish()))
}
