//! Colour maps: even to the eye, save turbo, and readable without colour, save turbo and `rdbu_r`.
//!
//! Input: a name, then shares of a range. Output: colours. Invariant: the names stand in job files, so none of them
//! may go or come to mean another map. Every share has a colour: shares are clamped, and NaN has the lowest one.

use colorgrad::Gradient;

use super::canvas::Rgb;

/// A colour map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colors {
    /// Blue over green to yellow.
    #[default]
    Viridis,
    /// Black over purple to cream.
    Magma,
    /// Black over red to pale yellow.
    Inferno,
    /// Blue over pink to yellow.
    Plasma,
    /// Blue over grey to yellow: the same to eyes that confuse red and green.
    Cividis,
    /// Blue over white to red: for values on both sides of the middle.
    RdBuR,
    /// The rainbow, made smoother: not even, for finding detail.
    Turbo,
}

/// Colours in a table.
const SHADES: u16 = 1024;

impl Colors {
    /// Names in a job file.
    pub const NAMES: [&'static str; 7] = ["viridis", "magma", "inferno", "plasma", "cividis", "rdbu_r", "turbo"];

    /// The map called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "viridis" => Self::Viridis,
            "magma" => Self::Magma,
            "inferno" => Self::Inferno,
            "plasma" => Self::Plasma,
            "cividis" => Self::Cividis,
            "rdbu_r" => Self::RdBuR,
            "turbo" => Self::Turbo,
            _ => return None,
        })
    }

    /// The map's colours from lowest to highest.
    pub(super) fn table(self) -> Table {
        let gradient: Box<dyn Gradient> = match self {
            Self::Viridis => Box::new(colorgrad::preset::viridis()),
            Self::Magma => Box::new(colorgrad::preset::magma()),
            Self::Inferno => Box::new(colorgrad::preset::inferno()),
            Self::Plasma => Box::new(colorgrad::preset::plasma()),
            Self::Cividis => Box::new(colorgrad::preset::cividis()),
            Self::RdBuR => Box::new(colorgrad::preset::rd_bu()),
            Self::Turbo => Box::new(colorgrad::preset::turbo()),
        };
        let shade = |at| {
            let at = if self == Self::RdBuR { SHADES - 1 - at } else { at };
            let [red, green, blue, _] = gradient.at(f32::from(at) / f32::from(SHADES - 1)).to_rgba8();
            [red, green, blue]
        };
        Table { shades: (0..SHADES).map(shade).collect() }
    }
}

/// Colours by share of the range.
pub(super) struct Table {
    shades: Vec<Rgb>,
}

impl Table {
    /// Colour at `share` of the range, clamped to 0 to 1.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the share is within 0 to 1")]
    pub(super) fn at(&self, share: f64) -> Rgb {
        self.shades[(share.clamp(0.0, 1.0) * f64::from(SHADES - 1)).round() as usize]
    }
}
