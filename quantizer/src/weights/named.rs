//! Methods by the names that people type.

use super::{A2q, A2qPlus, Axe, DeBruin, EpInit, Exact, Feedback, GridRescale, Method, SignSplit, SignSplitGrid};

/// Every name that [`by_name`] knows.
pub const NAMES: [&str; 11] = [
    "a2q",
    "a2q-ep",
    "a2q+",
    "a2q+-ep",
    "a2q+-ep-centred",
    "sign-split",
    "sign-split-grid",
    "grid-rescale",
    "axe",
    "axe-gpfq",
    "de-bruin",
];

/// The method called `name`: one of [`NAMES`], or `exact`, which changes nothing. `axe` feeds errors back as OPTQ does;
/// `tile` is its number of columns per inner accumulator, and of no other method's business.
pub fn by_name(name: &str, tile: Option<usize>) -> Option<Box<dyn Method>> {
    Some(match name {
        "a2q" => Box::new(A2q::default()),
        "a2q-ep" => Box::new(A2q { init: EpInit::Paper }),
        "a2q+" => Box::new(A2qPlus::default()),
        "a2q+-ep" => Box::new(A2qPlus { init: EpInit::Paper }),
        "a2q+-ep-centred" => Box::new(A2qPlus { init: EpInit::CentreFirst }),
        "sign-split" => Box::new(SignSplit),
        "sign-split-grid" => Box::new(SignSplitGrid),
        "grid-rescale" => Box::new(GridRescale::default()),
        "axe" | "axe-optq" => Box::new(Axe { feedback: Feedback::Optq, tile }),
        "axe-gpfq" => Box::new(Axe { feedback: Feedback::Gpfq, tile }),
        "de-bruin" => Box::new(DeBruin),
        "exact" => Box::new(Exact),
        _ => return None,
    })
}
