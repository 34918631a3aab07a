//! A bot: is in every conversation that somebody adds it to, answers each text, and survives servers, networks and
//! its own restarts: no text is answered twice, none is forgotten.
//!
//! ```text
//! fastchat --profile ./echo-bot register echo                              # once; asks for a password
//! cargo run --release -p fastchat-client --example echo_bot ./echo-bot     # again and again
//! fastchat send @echo "is there anybody?"
//! ```

use fastchat_client::{messenger::Messenger, problem::Problem, profile::Profile, record::What};
use fastchat_e2e::content::Body;
use std::{env, path::Path, sync::Arc};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = env::args().nth(1).unwrap_or("./echo-bot".to_owned());
    let profile = Arc::new(Profile::open(Path::new(&folder))?);
    let config = profile.config()?;
    let bot = Messenger::start(profile, config)?;
    loop {
        let record = bot.next(bot.profile().shown()?).await?;
        let answer = match record.what {
            What::Message(ref message) if !record.own => match &message.body {
                Body::Text(text) => Some(Body::text(format!("you said: {}", text.body))),
                _ => None,
            },
            _ => None,
        };
        match bot.answer(&record, answer).await {
            // Somebody there is not who they were: nothing is said, until who runs the bot has looked into it.
            Err(Problem::Distrusted(_)) => bot.answer(&record, None).await?,
            answered => answered?,
        }
    }
}
