//! Files (stub)
/// stub
#[derive(Debug)]
pub struct SendFile;
/// stub
#[derive(Debug)]
pub struct SentFile;
/// stub
#[derive(Debug)]
pub struct Step;
