//! A picture of 5 MB: from its file to the receiver's.

use super::{
    Run,
    figures::percentile,
    person::{Pair, Person, wait_for},
};
use anyhow::ensure;
use fastchat_client::messenger::SendFile;
use fastchat_e2e::content::Body;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use rand::Rng;
use std::time::Instant;

const PART: &str = "a picture of 5 MB (PNG), the library";
const TIMES: usize = 5;
/// Width and height in pixels: as noise a file of 5 MB.
const SIDE: u32 = 1_290;

pub(crate) async fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    let people = (Person::registered(run, "alice6").await?, Person::registered(run, "bob6").await?);
    let pair = Pair::meet(&people.0, &people.1).await?;
    let (mut sent, mut saved, mut after) = (Vec::new(), Vec::new(), 0);
    for n in 0..run.count(TIMES) {
        let picture = noise()?;
        let path = run.folder.join(format!("picture{n}.png"));
        std::fs::write(&path, &picture)?;
        let begun = Instant::now();
        pair.alice.send_file(pair.conversation, &path, &SendFile::default(), |_| {}).await?;
        sent.push(begun.elapsed());
        let record = wait_for(&pair.bob, &mut after, |body| matches!(body, Body::File(_))).await?;
        let begun = Instant::now();
        let path = pair.bob.save_file(&record, &run.folder.join("downloads"), |_| {}).await?;
        saved.push(begun.elapsed());
        ensure!(std::fs::read(path)? == picture, "byte for byte");
    }
    run.figures.add_ms(
        PART,
        "check, strip, seal, upload, and its message stands in the log",
        percentile(&sent, 0.5),
    );
    run.figures.add_ms(PART, "download, open, compare, save", percentile(&saved, 0.5));
    pair.part().await;
    Ok(())
}

fn noise() -> anyhow::Result<Vec<u8>> {
    let mut pixels = vec![0; usize::try_from(SIDE * SIDE * 3)?];
    rand::rng().fill_bytes(&mut pixels);
    let mut file = Vec::new();
    PngEncoder::new(&mut file).write_image(&pixels, SIDE, SIDE, ExtendedColorType::Rgb8)?;
    Ok(file)
}
