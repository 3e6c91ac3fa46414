//! Widgets: pieces that know no word of the domain.

mod bars;
mod code;
mod fields;
mod grid;
mod layout;
mod picture;
mod table;
mod text;

pub(crate) use bars::{bars_ui, share_bar_ui};
pub(crate) use code::{sql_job, sql_ui};
pub(crate) use fields::{
    MAX_LINE_CHARS, MAX_TEXT_CHARS, choice, full_field_ui, primary_button, secret_field, text_area,
    text_field,
};
pub(crate) use grid::grid_ui;
pub(crate) use layout::{card, empty_state, key_figure, label_cell, popup_button, section};
pub(crate) use picture::{Picture, copy_picture};
pub(crate) use table::{ResultTable, Rows, Shown, as_tsv};
pub(crate) use text::{number, shorten, thousands};
