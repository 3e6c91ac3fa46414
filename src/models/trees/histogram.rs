use rayon::prelude::*;

use super::bins::{Binned, Line};

/// Sums of gradients and curvatures in the bins of a column. A sum is one number: the gradient above the
/// curvature, which is never negative; so a row costs one addition a column.
pub(super) type Bin = i64;
/// The bins of a column.
pub(super) type Column = [Bin; 256];

/// The gradient of a sum.
pub(super) const fn gradient(sum: Bin) -> i64 {
    sum >> 32
}

/// The curvature of a sum.
pub(super) const fn curvature(sum: Bin) -> i64 {
    sum & 0xffff_ffff
}

/// Rows below which one thread adds up.
const FEW_ROWS: usize = 30_000;

/// Adds up the sums of rows in all columns.
pub(super) fn add_rows(binned: &Binned, rows: &[u32], sums: &[Bin], out: &mut [Column]) {
    let threads = rayon::current_num_threads();
    if rows.len() < FEW_ROWS || threads == 1 {
        add(binned, rows, sums, out);
        return;
    }
    let parts: Vec<Vec<Column>> = rows
        .par_chunks(rows.len().div_ceil(threads))
        .map(|rows| {
            let mut part = vec![[0; 256]; out.len()];
            add(binned, rows, sums, &mut part);
            part
        })
        .collect();
    for part in parts {
        for (out, part) in out.iter_mut().zip(&part) {
            out.iter_mut().zip(part).for_each(|(out, part)| *out += part);
        }
    }
}

/// Columns that are added up together: their bins stay in the fastest memory, and the loop over them is
/// laid out flat.
const TOGETHER: usize = 8;
/// Rows that are brought near before they are added up. Their places are scattered, and a processor fetches
/// many of them at once only where little else is between.
const NEAR: usize = 256;

/// The number of columns of a histogram: whole groups.
pub(super) const fn padded(columns: usize) -> usize {
    columns.div_ceil(TOGETHER) * TOGETHER
}

fn add(binned: &Binned, rows: &[u32], sums: &[Bin], out: &mut [Column]) {
    let mut near = [Line([0; 32]); NEAR];
    let mut near_sums = [0; NEAR];
    for rows in rows.chunks(NEAR) {
        for (near, row) in near_sums.iter_mut().zip(rows) {
            *near = sums[*row as usize];
        }
        for (group, out) in out.chunks_mut(32).enumerate() {
            for (near, row) in near.iter_mut().zip(rows) {
                *near = binned.lines[*row as usize * binned.n_lines + group];
            }
            let rows = &near[..rows.len()];
            let (columns, _) = out.as_chunks_mut::<TOGETHER>();
            for (part, columns) in columns.iter_mut().enumerate() {
                add_together(rows, &near_sums, part, columns);
            }
        }
    }
}

#[inline]
fn add_together(rows: &[Line], sums: &[Bin], part: usize, columns: &mut [Column; TOGETHER]) {
    for (line, sum) in rows.iter().zip(sums) {
        let (parts, _) = line.0.as_chunks::<TOGETHER>();
        for (column, bin) in columns.iter_mut().zip(&parts[part]) {
            column[usize::from(*bin)] += sum;
        }
    }
}

/// Adds up the sums of rows in one column.
pub(super) fn add_column(bins: &[u8], rows: &[u32], sums: &[Bin], out: &mut Column) {
    for row in rows {
        out[usize::from(bins[*row as usize])] += sums[*row as usize];
    }
}
