//! Signing in: registering, and a second device; with the part that stretching the password is.

use super::{Run, figures::percentile, person::Person, process::own_cpu};
use fastchat_e2e::{Kdf, password::stretch};
use std::time::{Duration, Instant};

const PART: &str = "sign-in";
const PEOPLE: usize = 21;

/// Wall time of each, and CPU time of all together.
#[derive(Default)]
struct Took {
    wall: Vec<Duration>,
    cpu: Duration,
}

impl Took {
    async fn note<T>(&mut self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<()> {
        let (begun, cpu) = (Instant::now(), own_cpu()?);
        work.await?;
        self.wall.push(begun.elapsed());
        self.cpu += own_cpu()? - cpu;
        Ok(())
    }

    fn add_to(&self, run: &mut Run<'_>, what: &str) -> anyhow::Result<()> {
        run.figures.add_ms(PART, what, percentile(&self.wall, 0.5));
        let cpu = self.cpu / u32::try_from(self.wall.len())?;
        run.figures.add_ms(PART, format!("{what}: CPU time of the client"), cpu);
        Ok(())
    }
}

pub(crate) async fn measure(run: &mut Run<'_>) -> anyhow::Result<()> {
    let (mut register, mut login, mut stretched) = (Took::default(), Took::default(), Took::default());
    for n in 0..run.count(PEOPLE) {
        let person = Person::new(run, &format!("newcomer{n}"), run.fleet.balancer())?;
        register.note(person.register()).await?;
        login.note(person.login(&format!("second{n}"))).await?;
        let password = person.password();
        // As the client does it: off the async threads.
        let work = async {
            let work = move || stretch(&password, &rand::random(), Kdf::REGISTRATION);
            Ok(tokio::task::spawn_blocking(work).await??)
        };
        stretched.note(work).await?;
    }
    register.add_to(run, "register")?;
    login.add_to(run, "login on a second device")?;
    stretched.add_to(run, "of each: Argon2id")
}
