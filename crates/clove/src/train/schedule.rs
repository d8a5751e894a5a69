//! The learning rate: linear warm-up, then cosine decay.

/// A schedule. Source: mlfoundations/open_clip: src/open_clip_train/scheduler.py, `cosine_lr`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The highest learning rate.
    pub peak: f64,
    /// Steps of the warm-up.
    pub warmup: usize,
    /// Total steps; at the last one the cosine is nearly 0.
    pub steps: usize,
}

impl Schedule {
    /// The learning rate of a step, counted from 0.
    pub fn at(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        let (done, all) = (step - self.warmup, self.steps.saturating_sub(self.warmup));
        if done >= all {
            return 0.0;
        }
        let turn = std::f64::consts::PI * done as f64 / all as f64;
        0.5 * (1.0 + turn.cos()) * self.peak
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    #[test]
    fn it_rises_to_the_peak_and_falls_to_zero() {
        let schedule = Schedule { peak: 2.0, warmup: 4, steps: 12 };
        let rates: Vec<f64> = (0..14).map(|step| schedule.at(step)).collect();
        assert_eq!(rates[..5], [0.5, 1.0, 1.5, 2.0, 2.0]);
        assert!((rates[8] - 1.0).abs() < 1e-12);
        assert!(rates[4..].windows(2).all(|pair| pair[1] <= pair[0]));
        assert_eq!(rates[12..], [0.0, 0.0]);
    }
}
