use kernel::features::BoundFilter;

use super::super::groups::{By, Counts, Groups, add_counts};
use super::super::scene::{Scene, bound};
use super::{Attribution, Checked, FunnelSpec, MOST_STEPS, Order};
use crate::insights::Scope;

/// How far a customer got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    Nothing,
    /// As far as an excluded event.
    Excluded,
    /// So many steps.
    Step(usize),
}

/// What is known of a customer on the way.
pub(super) struct Run {
    /// For each step, when the latest attempt that got there began.
    starts: Vec<Option<i64>>,
    /// For each step, whether an attempt that got there ended, and not by an excluded event.
    clean: Vec<bool>,
    /// For each step, the times of that attempt: as many as there are steps each, the first ones known.
    chains: Vec<i64>,
    /// The times of the first attempt that got furthest.
    pub(super) times: Vec<i64>,
    /// For each step, when it was last taken; for steps in any order.
    last: Vec<Option<i64>>,
    /// Rows that are a step, and which.
    taken: Vec<(i64, u32, usize)>,
}

impl Run {
    pub(super) fn new(n: usize) -> Self {
        Self {
            starts: vec![None; n],
            clean: vec![false; n],
            chains: vec![0; n * n],
            times: Vec::new(),
            last: vec![None; n],
            taken: Vec::new(),
        }
    }
}

pub(super) struct Walk<'a> {
    spec: &'a FunnelSpec,
    scene: &'a Scene<'a>,
    steps: Vec<BoundFilter<'a>>,
    exclusions: Vec<BoundFilter<'a>>,
    any: BoundFilter<'a>,
    /// For each name of an event, what its events may be: the bits of [`Self::bits`].
    by_name: Vec<u32>,
    /// The bits that a condition has to be looked at for.
    conditional: u32,
    by: By<'a>,
}

/// Bits of what an event is beyond steps.
const FIRST_EXCLUSION: usize = MOST_STEPS;

impl<'a> Walk<'a> {
    pub(super) fn new(
        spec: &'a FunnelSpec,
        checked: &'a Checked,
        scene: &'a Scene<'a>,
        scope: &Scope,
    ) -> Self {
        let steps = bound(&checked.steps, scene.timelines);
        let exclusions = bound(&checked.exclusions, scene.timelines);
        let mut by_name = vec![0; scene.timelines.names().len()];
        let mut conditional = 0;
        let places = (0..steps.len()).chain(FIRST_EXCLUSION..);
        for (place, filter) in places.zip(steps.iter().chain(&exclusions)) {
            let names = by_name.iter_mut().zip(filter.names());
            names.for_each(|(bits, passes)| *bits |= u32::from(*passes) << place);
            conditional |= u32::from(!filter.is_by_name()) << place;
        }
        Self {
            spec,
            scene,
            any: checked.any.bind(scene.timelines),
            by_name,
            conditional,
            by: By::of(scope, scene),
            steps,
            exclusions,
        }
    }

    pub(super) fn groups(&self) -> Groups {
        if matches!(self.by, By::Nothing) {
            return Groups::of(&self.by, Counts::new());
        }
        // In any order, every step may be the first.
        let firsts = match self.spec.order {
            Order::Unordered => &self.steps[..],
            _ => &self.steps[..1],
        };
        let each = |counts: &mut Counts, customer: usize| {
            if self.scene.rows(customer).any(|row| firsts.iter().any(|step| step.passes(row))) {
                *counts.entry(self.key(customer)).or_default() += 1;
            }
        };
        Groups::of(&self.by, self.scene.fold(Counts::new, each, add_counts))
    }

    /// The key of the group that a customer is in.
    pub(super) fn key(&self, customer: usize) -> u64 {
        if matches!(self.by, By::Nothing) {
            return 0;
        }
        let rows = self.scene.rows(customer);
        let is_step = |row: &usize| self.steps.iter().any(|step| step.passes(*row));
        match self.spec.attribution {
            Attribution::First => self.by.first(customer, rows.filter(is_step)),
            Attribution::Last => self.by.first(customer, rows.rev().filter(is_step)),
            Attribution::Step(step) => {
                let of_step = |row: &usize| self.steps[step - 1].passes(*row);
                self.by.first(customer, rows.filter(of_step))
            }
        }
    }

    /// What an event is: a bit for each step and each exclusion.
    #[inline]
    fn bits(&self, row: usize) -> u32 {
        let bits = self.by_name[self.scene.timelines.events()[row] as usize];
        match bits & self.conditional {
            0 => bits,
            open => self.settled(row, bits, open),
        }
    }

    /// The bits without those whose condition does not hold.
    fn settled(&self, row: usize, bits: u32, open: u32) -> u32 {
        let filter = |place: usize| match place.checked_sub(FIRST_EXCLUSION) {
            None => &self.steps[place],
            Some(exclusion) => &self.exclusions[exclusion],
        };
        let fails = |place: &usize| open & (1 << place) != 0 && !filter(*place).passes(row);
        (0..32).filter(fails).fold(bits, |bits, place| bits & !(1 << place))
    }

    /// How far a customer got.
    pub(super) fn run(&self, customer: usize, run: &mut Run) -> Reached {
        run.taken.clear();
        let is_strict = self.spec.order == Order::Strict;
        for row in self.scene.rows(customer) {
            let bits = self.bits(row);
            if bits != 0 || (is_strict && self.any.passes(row)) {
                run.taken.push((self.scene.time(row), bits, row));
            }
        }
        if run.taken.is_empty() {
            return Reached::Nothing;
        }
        // Of one instant, the events of earlier steps come first, in whichever order the file has them.
        let step_of = |bits: u32| (bits & ((1 << MOST_STEPS) - 1)).trailing_zeros();
        let order = |(time, bits, row): &(i64, u32, usize)| (*time, step_of(*bits), *bits, *row);
        if !run.taken.is_sorted_by_key(order) {
            run.taken.sort_by_key(order);
        }
        match self.spec.order {
            Order::Unordered => self.any_order(run),
            _ => self.in_order(run),
        }
    }

    fn any_order(&self, run: &mut Run) -> Reached {
        let Run { last, taken, times, .. } = run;
        last.fill(None);
        times.clear();
        let window = self.spec.window.0.micros();
        let mut most = 0;
        for (at, (time, bits, _)) in taken.iter().enumerate() {
            for (step, last) in last.iter_mut().enumerate() {
                if bits & (1 << step) != 0 {
                    *last = Some(*time);
                }
            }
            // Events of one instant are together.
            if taken.get(at + 1).is_none_or(|next| next.0 != *time) {
                let is_near = |last: &&Option<i64>| last.is_some_and(|last| time - last <= window);
                most = most.max(last.iter().filter(is_near).count());
            }
        }
        if most == 0 { Reached::Nothing } else { Reached::Step(most) }
    }

    /// For each step, the latest possible start is kept: an event joins the attempt of the step before if it
    /// is within the window of that attempt's first step.
    fn in_order(&self, run: &mut Run) -> Reached {
        let Run { starts, clean, chains, times, taken, .. } = run;
        starts.fill(None);
        clean.fill(false);
        times.clear();
        let n = self.steps.len();
        let window = self.spec.window.0.micros();
        let is_strict = self.spec.order == Order::Strict;
        let (mut furthest, mut excluded) = (0, 0);
        for (time, bits, _) in taken.iter() {
            for (exclusion, at) in self.spec.exclusions.iter().zip(FIRST_EXCLUSION..) {
                if bits & (1 << at) == 0 {
                    continue;
                }
                for step in exclusion.from..exclusion.to {
                    let Some(start) = starts[step - 1].take() else { continue };
                    if time - start <= window {
                        excluded = excluded.max(step);
                    } else {
                        clean[step - 1] = true;
                    }
                }
            }
            // From the last step on, so that one event is one step only.
            for step in (0..n).rev() {
                if bits & (1 << step) == 0 {
                    if is_strict {
                        clean[step] |= starts[step].take().is_some();
                    }
                    continue;
                }
                let start = match step.checked_sub(1) {
                    None => Some(*time),
                    Some(before) => starts[before].filter(|start| time - start <= window),
                };
                let Some(start) = start else { continue };
                if starts[step].is_none_or(|known| start > known) {
                    starts[step] = Some(start);
                    if let Some(before) = step.checked_sub(1) {
                        chains.copy_within(before * n..before * n + step, step * n);
                    }
                    chains[step * n + step] = *time;
                }
                if step + 1 > furthest {
                    furthest = step + 1;
                    times.clear();
                    times.extend_from_slice(&chains[step * n..=step * n + step]);
                }
            }
        }
        let reached = match self.spec.exclusions.is_empty() {
            true => furthest,
            // What an exclusion ended does not count; another attempt that got as far does.
            false => {
                let is_clean = |step: &usize| clean[*step] || starts[*step].is_some();
                (0..n).rev().find(is_clean).map_or(0, |step| step + 1)
            }
        };
        if reached < excluded {
            return Reached::Excluded;
        }
        if reached < furthest || times.len() != reached {
            times.clear();
            if let Some(step) = reached.checked_sub(1) {
                times.extend_from_slice(&chains[step * n..=step * n + step]);
            }
        }
        if reached == 0 { Reached::Nothing } else { Reached::Step(reached) }
    }
}
