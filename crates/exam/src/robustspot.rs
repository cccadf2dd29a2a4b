//! RobustSpot (IEEE TSC 2023): stalls of real live video, to the combination of attributes that carries them.

use std::path::Path;

use crate::{Error, Progress, Report, Set};

/// The set.
pub struct RobustSpot;

impl Set for RobustSpot {
    fn name(&self) -> &'static str {
        "robustspot"
    }

    fn about(&self) -> &'static str {
        "which combination of CDN, bitrate, device, ISP … carries a loss of video quality"
    }

    fn run(&self, _dir: &Path, _progress: Progress<'_>) -> Result<Report, Error> {
        Ok(Report::of("robustspot", &["top1", "top3", "mrr"], Vec::new()))
    }
}
