//! Devices, and a log that is carried between them by hand: what is taken, told, sent, and what is not.

mod amending;
mod archive;
mod crowd;
mod founding;
mod gone;
mod marks;
mod people;
mod sending;
mod settings;
mod three;
mod trust;
mod vanishing;
mod world;
